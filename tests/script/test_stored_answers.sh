#!/usr/bin/env bash
# Answers kept by --out F.run.h5 are shown by the screens of the explorer without the model, as the
# model itself would be shown.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
[[ -x $make ]] || fail "$make is not built"
"$make" esm2 "$TMP/tiny" >/dev/null || fail 'no model'
cd "$TMP" || fail 'no folder'

seq='<mask>KTVRQERLK'

# SCREEN FILE CURSOR… -- ASKED… -- COMMAND…: the same screen from the model and from the file.
same_screen() {
    local screen=$1 file=$2.run.h5 cursor=() asked=()
    shift 2
    for list in cursor asked; do
        local -n to=$list
        for (( ; ; )); do
            [[ $1 != -- ]] || break
            to+=("$1")
            shift
        done
        shift
    done
    run_ok "$@" --out "$file"
    run_ok view "$screen" tiny "${cursor[@]}" "${asked[@]}" --json
    local model=$out
    run_ok view "$screen" "$file" --json
    assert_eq "$(jq -S 'del(.model, .line, .path)' <<<"$model")" \
        "$(jq -S 'del(.model, .line, .path)' <<<"$out")" "$screen as data"
    # The first line names the file; times are not results.
    run_ok view "$screen" tiny "${cursor[@]}" "${asked[@]}" --size 100x30
    model=$(sed -e 1d -e 's/[0-9.]* s / /' <<<"$out")
    run_ok view "$screen" "$file" "${cursor[@]}" --size 100x30
    assert_eq "$model" "$(sed -e 1d -e 's/[0-9.]* s / /' <<<"$out")" "$screen on the terminal"
}

same_screen bands bands --layer 1 --head 1 -- --seq "$seq" --token 1 --against 5 -- \
    bands tiny --seq "$seq" --query 1 --against 5 --profile
same_screen head head -- --seq "$seq" --token 1 --layer 1 --head 1 -- \
    bands tiny --seq "$seq" --along-keys --layer 1 --head 1
same_screen patching patch -- --seq "$seq" --corrupt '<mask>RTVKQERLK' --grid layer-token -- \
    patch tiny --clean "$seq" --corrupt '<mask>RTVKQERLK' --grid layer-token
same_screen patching ablate -- --seq "$seq" --ablate mean --grid layer-head -- \
    ablate tiny --seq "$seq" --how mean
same_screen nterm nterm -- --swissprot "$SX_SOURCE/examples/esm2/nterm.dat" -- \
    nterm tiny --swissprot "$SX_SOURCE/examples/esm2/nterm.dat"

# The circuit screen shows two answers, a file holds one of them.
rm -r tiny && "$make" esm2 "$TMP/tiny" >/dev/null
run_ok attribute tiny --seq "$seq" --sources --out terms.run.h5
run_ok compose tiny --seq "$seq" --layer 1 --head 1 --out parts.run.h5
run_ok view circuit tiny --seq "$seq" --token 1 --layer 1 --head 1 --json
model=$out
run_ok view circuit terms.run.h5 --json
assert_eq "$(jq '[.rows[] | select(has("bos"))]' <<<"$model")" \
    "$(jq '[.rows[] | select(has("bos"))]' <<<"$out")" 'the terms of the logit'
run_ok view circuit parts.run.h5 --size 100x30
assert_contains "$out" 'query of L1.H1' 'the parts of the query'
assert_contains "$out" 'sextant compose tiny' 'what the file does not hold'

# Without the model, which is not needed; what needs it says so.
mv tiny away
run_ok view patching patch.run.h5 --size 80x24 --ascii
run_fail 1 view lens patch.run.h5
assert_contains "$err" 'holds no weights'
run_ok info patch.run.h5
assert_contains "$out" 'largest' 'the answer as the command prints it'
run_ok info patch.run.h5 --json
assert_eq patch "$(json "$out" '.files[0].command')"
assert_eq 32 "$(json "$out" '.files[0].fingerprint' | tr -d '\n' | wc -c)"
assert_eq layer "$(json "$out" '.files[0].answer.axes.rows.name')"

# Cut files.
head -c $(($(stat -c %s patch.run.h5) - 600)) patch.run.h5 >cut.run.h5
run_fail 1 view patching cut.run.h5
assert_contains "$err" cut.run.h5
head -c 3000 patch.run.h5 >cut.run.h5
run_fail 1 view patching cut.run.h5
assert_contains "$err" 'cut.run.h5: not a readable HDF5 file'
: >empty.run.h5
run_fail 1 view patching empty.run.h5
assert_contains "$err" 'empty.run.h5: not'
