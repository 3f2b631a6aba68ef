#!/usr/bin/env bash
# Strangers' files: cut, hostile, of the wrong kind, with names that terminals obey. One line on stderr
# and status 1, at once. (What readers make of single bytes is held by the unit tests of io.)
. "$(dirname "$0")/../support/script.sh"

sae=$SX_SOURCE/tests/fixtures/sae
input=$sae/expected/dl_topk.npz:x
cd "$TMP" || fail cd
cp -r "$sae/dl_topk" good

refused() { # path, [part of the message]
    local words
    for words in "info $1" "convert $1 out.sae.h5" "encode $1 --input $input --out out.npz" \
        "match $1 good" "compare good $1"; do
        # The paths have no spaces but for the fixtures', which comes through a link.
        run_fail 1 $words
        assert_contains "$err" "${2:-}" "$words"
    done
    [[ ! -e out.npz && ! -e out.sae.h5 ]] || fail "$1: a refused file left a result"
}
ln -s "$sae/expected" expected
input=expected/dl_topk.npz:x

# Whatever reaches a terminal: text, tables, errors.
no_controls() {
    if LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' .out .err || grep -qP '[\x{80}-\x{9f}\x{202a}-\x{202e}]' .out .err; then
        fail "control characters: $(cat -v .out .err | head -n 20)"
    fi
}

# Cut files of every kind.
run_ok convert good whole.sae.h5
cp "$sae/dl_topk/ae.pt" whole.pt
cp "$sae/lens_topk/sae_weights.safetensors" whole.safetensors
cp "$sae"/gemma_scope/*/*/params.npz whole.npz 2>/dev/null || cp "$(find "$sae/gemma_scope" -name '*.npz' | head -n 1)" whole.npz
for file in whole.*; do
    size=$(wc -c <"$file")
    for n in 0 1 8 100 $((size / 2)) $((size - 1)); do
        mkdir -p cut
        head -c "$n" "$file" >"cut/${file/whole/ae}"
        refused "cut/${file/whole/ae}"
        rm -r cut
    done
done

# safetensors whose header lies.
lie() { # header JSON, bytes of data, [length in the file: 8 octal bytes]
    local n=${#1}
    mkdir -p lie
    cp "$sae/lens_topk/cfg.json" lie/
    {
        if [[ ${3:-} ]]; then printf "$3"; else
            printf "\\x$(printf %02x $((n & 255)))\\x$(printf %02x $((n >> 8)))\\0\\0\\0\\0\\0\\0"
        fi
        printf %s "$1"
        head -c "$2" /dev/zero
    } >lie/sae_weights.safetensors
    refused lie/sae_weights.safetensors
    run_fail 1 info lie
    no_controls
    rm -r lie
}
one() { # shape, offsets
    printf '{"W_enc":{"dtype":"F32","shape":%s,"data_offsets":%s}}' "$1" "$2"
}
lie "$(one '[9223372036854775808]' '[0,16]')" 16
lie "$(one '[4294967296,4294967296]' '[0,0]')" 0
lie "$(one '[4611686018427387904,4]' '[0,0]')" 0
lie "$(one '[-4]' '[0,16]')" 16
lie "$(one '[4]' '[-16,0]')" 16
lie "$(one '[4]' '[0,16]')" 8
lie "$(one '[2.5]' '[0,10]')" 10
lie '{"W_enc":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"W_dec":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}' 24
lie '{"\u001b]0;evil\u0007":{"dtype":"F\u001b[31m","shape":[4],"data_offsets":[0,16]}}' 16
lie '{}' 0 '\377\377\377\377\377\377\377\377'
lie '{}' 0 '\0\0\0\0\0\0\0\200'
lie '[[[[[[[[' 0

# A pickle that would run a program is refused by name; nothing runs.
refused "$(cd "$sae/refused_pickle" && cp -r . "$TMP/refused_pickle" && cd "$TMP" && echo refused_pickle/*.pt)" 'not one of the names'

# Names that a terminal would obey, in paths and in configurations.
evil=$'esc\e[31m\a\xc2\x9b\xe2\x80\xae name'
cp -r good "$evil"
sed -i 's/"lm_name": "[^"]*"/"lm_name": "\\u001b]0;evil\\u0007\\u009b"/' "$evil/config.json"
grep -q u001b "$evil/config.json" || fail 'the configuration has no lm_name'
printf junk >"$evil/bad"$'\e]0;evil\a'.pt
for args in info 'info --json' 'view workspace --size 100x30 --color none' \
    'view inspector --size 100x30 --color none' 'view workspace --csv'; do
    run_ok $args "$evil"
    no_controls
done
run_fail 1 info "$evil/bad"$'\e]0;evil\a'.pt
no_controls

# Things that are no files, and files that have no end.
mkdir -p odd/dir/ae.pt odd/fifo odd/zero odd/loop
mkfifo odd/fifo/ae.pt
ln -s /dev/zero odd/zero/ae.pt
ln -s ../loop odd/loop/again
ln -s self odd/loop/self
for path in odd/dir/ae.pt odd/fifo/ae.pt odd/zero/ae.pt odd/loop/self odd/no/such; do refused "$path"; done
run_fail 1 info odd
assert_contains "$err" 'no SAE here'
if [[ $(id -u) != 0 ]]; then
    mkdir locked
    cp good/* locked/
    chmod 000 locked/ae.pt
    refused locked/ae.pt 'Permission denied'
fi
mkdir crowd
(cd crowd && seq 1 20000 | sed 's/$/.pt/' | xargs touch)
run_fail 1 info crowd
assert_contains "$err" '19999 more'

# Training: what is wrong is named, and nothing is written.
cat >ok.yaml <<YAML
data: expected/dl_topk.npz
data_tensor: x
dict_size: 12
batch: 4
epochs: 2
YAML
refused_run() { # status, part of the message, train's words…
    local want=$1 part=$2
    shift 2
    run_fail "$want" train "$@" --out trained
    assert_contains "$err" "$part" "$*"
    no_controls
    [[ ! -e trained/ok_s0.sae.h5 ]] || fail "$*: a refused run left an SAE"
}
for pair in lr=-1 lr=nan lr=0 batch=0 batch=1000000000000 dict_size=-1 dict_size=99999999999999999999 epochs=0 \
    seeds=[] seeds=[0,0] seeds=[-1] beta1=1 eps=-1 lambda_decoder=-1 penalty_decoder=l3 data_scale=nan \
    name=../../evil $'name=\e[31m' threads=100000 log_every=0 no_such_key=1 $'x\e=3'; do
    refused_run 2 "$(cut -d= -f1 <<<"$pair" | tr -d '\033')" ok.yaml --set "$pair"
done
refused_run 1 'not a regular file' ok.yaml --set data=/dev/zero
refused_run 1 'not a regular file' ok.yaml --set data=.
refused_run 1 nope ok.yaml --set data_tensor=nope
refused_run 1 diverged ok.yaml --set lr=1e300
while IFS='|' read -r status part text; do
    printf "$text" >bad.yaml
    refused_run "$status" "$part" bad.yaml
done <<'CASES'
2|missing|
1|bad.yaml:|lr: [
1|stands twice|lr: 1\nlr: 2\n
2|bad.yaml:1|lr: {a: 1}\n
2|unknown key|learning_rate: 3\n
1|anchors|data: &a [*a]\n
1|tags|lr: !!python/object/apply:os.system ["id"]\n
1|bad.yaml:1|\xff\xfe\n
CASES
npy() { # shape, bytes of data as printf takes them
    local head
    head=$(printf "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" "$1")
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$head"
    printf "$2"
}
npy '(2, 2)' '\0\0\0\0\0\0\0\0\0\0\300\177\0\0\0\0' >nan.npy
npy '(0, 2)' '' >empty.npy
npy '(9223372036854775807, 2)' '' >huge.npy
refused_run 1 'row 1, column 0 is not finite' ok.yaml --set data=nan.npy --set data_tensor=
refused_run 1 empty ok.yaml --set data=empty.npy --set data_tensor=
refused_run 1 huge.npy ok.yaml --set data=huge.npy --set data_tensor=

# A terminal too small for anything.
for size in 20x5 2x2 1x1; do
    for view in workspace features seeds weights gallery training inspector help; do
        run view "$view" good --size "$size" --color none
        [[ $status == 0 || $status == 1 ]] || fail "view $view at $size: status $status: $err"
    done
done
