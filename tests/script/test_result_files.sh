#!/usr/bin/env bash
# Answers kept by --out and runs, told by `info` without the model.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
[[ -x $make ]] || fail "$make is not built"
"$make" esm2 "$TMP/tiny" >/dev/null || fail 'no model'
cd "$TMP" || fail 'no folder'

same_answer() { # NAME ARG…
    local name=$1
    shift
    run_ok "$name" tiny "$@" --json --out "$name.json"
    assert_eq "$(jq -S 'del(..|.seconds?)' <<<"$out")" "$(jq -S 'del(..|.seconds?)' "$name.json")" \
        "the document of $name"
    run_ok "$name" tiny "$@" --out "$name.run.h5"
    assert_file "$name.run.h5"
    run_ok info "$name.run.h5"
    assert_contains "$out" "sextant $name" "the command line of $name"
    assert_contains "$out" "document" "the datasets of $name"
    assert_contains "$out" "fingerprint" "the model of $name"
    run_fail 1 "$name" tiny "$@" --out "$name.run.h5"
    assert_contains "$err" 'already there' "$name does not replace a file"
    run_ok "$name" tiny "$@" --out "$name.run.h5" --force
}

same_answer bands --seq MKTVRQERLK --query 1 --mask --against 5
same_answer attribute --seq '<mask>KTVRQERLK'
same_answer compose --seq '<mask>KTVRQERLK' --layer 1 --head 0
same_answer patch --clean '<mask>KTVRQ' --corrupt '<mask>RTVKQ'
same_answer ablate --seq '<mask>KTVRQ'
same_answer positions --seq MKTVRQERLK --last 4
same_answer nterm --builtin --limit 2

run_fail 2 bands tiny --seq MKT --out bands.txt
assert_contains "$err" '.run.h5 or .json'

# A run: what was done, of what, by which model.
mv tiny away
run_ok run away --seq '<mask>KTV' --capture attn,logits \
    --intervene 'ctx@layers=1,heads=0=zero' --out f.run.h5
rm -r away
run_ok info f.run.h5 --json
file=$(json "$out" '.files[0]')
assert_eq run "$(json "$file" .kind)"
assert_eq 'ctx@layers=1,heads=0=zero' "$(json "$file" .interventions)"
assert_contains "$(json "$file" .line)" "sextant run away" 'the command line'
assert_eq 32 "$(json "$file" .fingerprint | tr -d '\n' | wc -c)"
assert_eq '2 2 6 6' "$(json "$file" '.tensors[] | select(.name == "attn").shape | join(" ")')"
assert_eq '6 16' "$(json "$file" '.tensors[] | select(.name == "token_texts").shape | join(" ")')"

# Cut and foreign files.
head -c 900 f.run.h5 >cut.run.h5
run_fail 1 info cut.run.h5
assert_contains "$err" cut.run.h5
