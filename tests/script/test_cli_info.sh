#!/usr/bin/env bash
# sextant info: what is told, what is refused, and how bad input is answered.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'

run_ok info dl_topk/ae.pt --json
assert_json "$out"
assert_eq 1 "$(json "$out" .schema)"
assert_eq schema "$(json "$out" 'keys_unsorted[0]')" 'the schema stands on top'
for key in path format arch activation_dim dict_size k seed penalty lambda decoder_constraint hook \
    dead dead_exact dead_tiny fingerprint warnings tensors encoder_norm decoder_norm alignment; do
    [[ $(json "$out" ".files[0] | has(\"$key\")") == true ]] || fail "info --json lacks $key"
done
assert_eq true "$(json "$out" '.files[0].tensors | all(has("strides") and has("dtype"))')"

# What is not known is null, with why beside it.
assert_eq null "$(json "$out" '.files[0].norm_factor')"
assert_eq string "$(json "$out" '.files[0].norm_factor_why | type')"

# A folder lists what it cannot read; a named file that cannot be read is an error.
mkdir "$TMP/mixed"
cp dl_topk/ae.pt dl_topk/config.json "$TMP/mixed"
head -c 100 dl_topk/ae.pt >"$TMP/mixed/cut.pt"
run_ok info "$TMP/mixed" --json
assert_eq 2 "$(json "$out" '.files | length')"
assert_eq 1 "$(json "$out" '[.files[] | select(.error == null)] | length')"
assert_contains "$(json "$out" '.files[] | select(.error != null) | .error')" cut.pt
run_ok info "$TMP/mixed"
assert_contains "$out" '! '
assert_lacks "$out" nan
run_ok info "$TMP/mixed" --csv
assert_out_lines 3
assert_contains "$out" 'path,format,arch,activation_dim,dict_size,k,seed,penalty,lambda,decoder_constraint'
assert_contains "$out" "ae.pt,dictionary_learning,topk,"
assert_lacks "$(head -n 1 <<<"$out")" _why

# A folder whose only SAE is refused is an error, and says which and why.
mkdir "$TMP/refused"
cp "$TMP/mixed/cut.pt" "$TMP/refused"
run_fail 1 info "$TMP/refused"
assert_contains "$err" cut.pt
run_fail 1 info "$TMP/mixed/cut.pt"
assert_contains "$err" cut.pt

mkdir "$TMP/empty"
run_fail 1 info "$TMP/empty"
assert_contains "$err" 'no SAE here'
run_fail 1 info /no/such/path
run_fail 2 info

# Names cannot write on the terminal.
evil=$(printf 'a\033[31mb.pt')
cp "$TMP/mixed/cut.pt" "$TMP/$evil"
run_fail 1 info "$TMP/$evil"
assert_lacks "$err" $'\033'
run info "$TMP"
assert_lacks "$out" $'\033'
