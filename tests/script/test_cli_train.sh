#!/usr/bin/env bash
# sextant train: lines, files, resuming bit by bit, what is refused.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'
cat >"$TMP/tiny.yaml" <<YAML
data: $PWD/expected/dl_topk.npz
data_tensor: x
dict_size: 12
seeds: [0, 1]
batch: 4
epochs: 6
log_every: 1
YAML

run_ok train "$TMP/tiny.yaml" --out "$TMP/whole" --json
assert_eq 1 "$(head -n 1 "$TMP/.out" | jq .schema)"
assert_eq 1 "$(tail -n 1 "$TMP/.out" | jq .schema)"
assert_eq 2 "$(tail -n 1 "$TMP/.out" | jq '.files | length')"
while IFS= read -r file; do assert_file "$file"; done < <(tail -n 1 "$TMP/.out" | jq -r '.files[], .curve')
cp "$TMP/.out" "$TMP/.last"
lines=$(wc -l <"$TMP/.out")
[[ $lines -gt 3 ]] || fail 'no line for each logged step'
assert_eq 0 "$(head -n $((lines - 1)) "$TMP/.out" | jq -s '[.[] | select(.schema != 1)] | length')"

# Interrupted after two epochs and gone on with: the same bytes of weights.
run_ok train "$TMP/tiny.yaml" --out "$TMP/parts" --set epochs=2
run_ok train "$TMP/tiny.yaml" --out "$TMP/parts" --resume
run_ok compare "$TMP/whole/tiny_s1.sae.h5" "$TMP/parts/tiny_s1.sae.h5" --json
assert_eq 0 "$(json "$out" '[.tensors[].max_abs] | max')" 'resumed and uninterrupted'

# The file tells how training ended, as the curve's last row does, and keeps it when converted.
mse=$(grep '"mse"' "$TMP/.last" | tail -n 1 | jq '.seeds[1].mse')
run_ok info "$TMP/whole/tiny_s1.sae.h5" --json
assert_eq 6 "$(json "$out" .files[0].training.epochs)"
assert_eq "$mse" "$(json "$out" .files[0].training.mse)"
assert_eq '["steps","epochs","mse","l0","dead","alignment"]' \
    "$(jq -c '.files[0].training | keys_unsorted' <<<"$out")"
run_ok convert "$TMP/whole/tiny_s1.sae.h5" "$TMP/copy.sae.h5"
run_ok info "$TMP/copy.sae.h5" --json
assert_eq "$mse" "$(json "$out" .files[0].training.mse)"
run_ok info dl_topk/ae.pt --json
assert_eq null "$(json "$out" .files[0].training)"

run_fail 2 train "$TMP/tiny.yaml" --set nonsense --out "$TMP/x"
run_fail 2 train "$TMP/tiny.yaml" --set batch=-1 --out "$TMP/x"
run_fail 2 train "$TMP/tiny.yaml" --set no_such_key=1 --out "$TMP/x"
assert_contains "$err" no_such_key
run_fail 1 train "$TMP/tiny.yaml" --set data=/no/such/file --out "$TMP/x"
run_fail 1 train /no/such.yaml --out "$TMP/x"
[[ ! -e $TMP/x/tiny_s0.sae.h5 ]] || fail 'a refused run left an SAE'

# The folder can be opened like any other.
run_ok view training "$TMP/whole" --json
assert_eq 1 "$(json "$out" .schema)"
