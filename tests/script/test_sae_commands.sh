#!/usr/bin/env bash
# info, compare, convert, encode, card, match and train: one honest use of each, and what they
# refuse. The numbers are held by the unit tests; here it is the promise of the command line.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'
seed0=sparsify_seed0/layers.3/seed0 seed1=sparsify_seed1/layers.3/seed1

# info
run_ok info dl_topk/ae.pt
assert_contains "$out" dictionary_learning
run_ok info dl_topk --json
for key in path format arch activation_dim dict_size k seed penalty lambda decoder_constraint hook dead warnings; do
    [[ $(json "$out" ".files[0] | has(\"$key\")") == true ]] || fail "info --json lacks $key"
done
assert_eq topk "$(json "$out" '.files[0].arch')"
assert_eq 24 "$(json "$out" '.files[0].dict_size')"
run_fail 1 info refused_pickle/ae.pt
run_ok info --json .
[[ $(json "$out" '.files | length') -gt 30 ]] || fail 'a folder is not searched'

# compare and convert: there and back is equal.
run_ok compare dl_topk/ae.pt dl_topk/ae.pt --json
assert_eq true "$(json "$out" .equal)"
assert_eq 0 "$(json "$out" '.tensors.W_enc.max_abs')"
run_ok convert dl_topk/ae.pt "$TMP/x.sae.h5"
run_ok convert "$TMP/x.sae.h5" "$TMP/lens" --to saelens
run_ok compare dl_topk/ae.pt "$TMP/lens" --json
assert_eq 0 "$(json "$out" '[.tensors[].max_abs] | max')"
run_ok compare $seed0 $seed1
assert_contains "$out" W_dec
run_ok compare $seed0 $seed1 --json
assert_eq false "$(json "$out" .equal)"
run_fail 2 convert dl_topk/ae.pt "$TMP/y" --to nonsense
run_fail 1 convert no/such "$TMP/y.sae.h5"
[[ ! -e $TMP/y.sae.h5 ]] || fail 'a failed conversion left a file'

# encode
x=$(echo expected/dl_topk.npz:x)
run_ok encode dl_topk/ae.pt --input $x --out "$TMP/f.npz" --json
[[ $(json "$out" .n) -gt 0 ]] || fail 'encode: no rows'
for key in l0 fvu mse cosine; do
    [[ $(json "$out" ".$key | type") == number ]] || fail "encode --json lacks $key"
done
assert_file "$TMP/f.npz"
run_ok encode dl_topk/ae.pt --input $x --out "$TMP/f.h5" --dense
assert_file "$TMP/f.h5"
run_fail 2 encode dl_topk/ae.pt --out "$TMP/f.npz"

# card
run_ok card $seed0 3 --against $seed1
run_ok card $seed0 3 --against $seed1 --json
assert_eq 3 "$(json "$out" .latent)"
[[ $(json "$out" '.partners | length') == 1 ]] || fail 'card --against: no partner'
run_fail 1 card $seed0 99999

# match
run_ok match $seed0 $seed1 --json --out "$TMP/m.match.h5"
for key in a b mmcs mmcs_enc mmcs_dec paired shared shared_enc shared_dec alive_a alive_b; do
    [[ $(json "$out" ".pairs[0] | has(\"$key\")") == true ]] || fail "match --json lacks $key"
done
for counter in anchored clique paper_compat; do
    total=$(json "$out" ".categories.$counter | .always + .sometimes + .never")
    [[ $total -gt 0 ]] || fail "match --json: $counter is empty"
done
assert_file "$TMP/m.match.h5"
run_ok match $seed0 $seed0 --json
assert_eq 1 "$(json "$out" '.pairs[0].shared')" 'an SAE against itself'
run_ok match $seed0 $seed1 --csv
assert_eq 2 "$(wc -l <"$TMP/.out")" 'lines of match --csv'
run_ok match $seed0 $seed1
assert_contains "$out" MMCS
run match $seed0
[[ $status != 0 ]] || fail 'one SAE matches nothing'

# train: what it prints, and what can be opened afterwards.
cat >"$TMP/tiny.yaml" <<YAML
data: $PWD/expected/dl_topk.npz
data_tensor: x
dict_size: 12
seeds: [0, 1]
batch: 4
epochs: 3
log_every: 1
YAML
run_ok train "$TMP/tiny.yaml" --out "$TMP/run" --json
[[ $(wc -l <"$TMP/.out") -gt 2 ]] || fail 'train --json: no line for each logged step'
while IFS= read -r line; do assert_json "$line"; done <"$TMP/.out"
assert_eq true "$(tail -n 1 "$TMP/.out" | jq -r .done)" 'the last line'
run_ok info "$TMP/run" --json
assert_eq 2 "$(json "$out" '.files | length')" 'one SAE a seed'
run_ok train "$TMP/tiny.yaml" --out "$TMP/run2" --set epochs=1 --set seeds='[5]'
run_ok info "$TMP/run2" --json
assert_eq 5 "$(json "$out" '.files[0].seed')"
run_ok view training "$TMP/run" --json
echo 'epochz: 3' >>"$TMP/tiny.yaml"
run train "$TMP/tiny.yaml" --out "$TMP/run3"
[[ $status != 0 ]] || fail 'an unknown key passes'
assert_contains "$err" 'tiny.yaml:8'
