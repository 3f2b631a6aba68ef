#!/usr/bin/env bash
# sextant match and card: copies match at exactly 1, keys, files, folders, thresholds.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/sae" || fail 'no fixtures'
cat >"$TMP/tiny.yaml" <<YAML
data: $PWD/expected/dl_topk.npz
data_tensor: x
dict_size: 24
seeds: [0, 1, 2]
batch: 4
epochs: 3
YAML
run_ok train "$TMP/tiny.yaml" --out "$TMP/run"

# A folder stands for the SAEs inside.
run_ok match "$TMP/run" --json --out "$TMP/m.match.h5"
assert_eq 3 "$(json "$out" '.pairs | length')"
assert_eq 1 "$(json "$out" .schema)"
assert_eq 0.7 "$(json "$out" .tau)"
assert_eq null "$(json "$out" .alive)"
assert_eq 24 "$(json "$out" '.pairs[0].alive_a')"
assert_eq true "$(json "$out" '[.pairs[].certificate.gap] | all(. >= 0 and . < 1e-4)')"
assert_eq true "$(json "$out" '[.categories[] | .always + .sometimes + .never] | all(. == 24)')"
assert_eq true "$(json "$out" '.survival.tau | length == 101')"
assert_eq true "$(json "$out" '[.saes[] | .orthogonality.rows] | all(. == 24)')"
for name in partner_enc partner_dec sim_enc sim_dec margin; do
    h5dump -d "/pairs/2/$name" -H "$TMP/m.match.h5" | grep -q '( 24 )' || fail "no $name [F]"
done

# A copy is the same SAE: exactly 1, every latent its own partner.
run_ok convert "$TMP/run/tiny_s0.sae.h5" "$TMP/copy" --to saelens
run_ok match "$TMP/run/tiny_s0.sae.h5" "$TMP/copy" --json --out "$TMP/same.match.h5"
for key in mmcs mmcs_enc mmcs_dec paired shared shared_enc shared_dec; do
    assert_eq 1 "$(json "$out" ".pairs[0].$key")" "$key of a copy"
done
h5dump -d /pairs/0/partner_dec "$TMP/same.match.h5" | grep -q '(0): 0, 1, 2, 3, 4,' ||
    fail 'partners of a copy'

# Thresholds and cuts.
run_ok match "$TMP/run/tiny_s0.sae.h5" "$TMP/copy" --tau 1 --json
assert_eq 0 "$(json "$out" '.pairs[0].shared')" 'above the threshold is strict'
run_ok match "$TMP/run" --alive 0.99 --json
assert_eq 0.99 "$(json "$out" .alive)"
[[ $(json "$out" '.pairs[0].alive_a') -le 24 ]] || fail 'alive latents'
run_fail 2 match "$TMP/run" --tau 2
run_fail 2 match "$TMP/copy"
assert_contains "$err" 'two are needed'
run_fail 1 match "$TMP/copy" mnist_u_784
run_ok match "$TMP/run" --csv
assert_eq 4 "$(wc -l <"$TMP/.out")" 'a head and three pairs'

# card finds the other seeds beside the SAE.
run_ok card "$TMP/run/tiny_s1.sae.h5" 5 --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq 2 "$(json "$out" '.partners | length')"
assert_eq true "$(json "$out" '.partners | all(.margin >= 0 and .sim <= 1)')"
assert_eq 8 "$(json "$out" '.neighbours | length')"
assert_eq null "$(json "$out" .density)"
assert_contains "$(json "$out" .density_why)" index
run_ok card "$TMP/copy" 5 --against "$TMP/run/tiny_s0.sae.h5" --json
assert_eq 5 "$(json "$out" '.partners[0].latent')"
assert_eq 1 "$(json "$out" '.partners[0].sim')"
run_fail 1 card "$TMP/copy" 24
assert_contains "$err" 'the last one is 23'
run_fail 2 card "$TMP/copy"
