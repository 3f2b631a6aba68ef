#!/usr/bin/env bash
# The screens circuit, patching and nterm say what the commands of the same measurement say.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/model" || fail 'no fixtures'
seq='<mask>QIFVKTLT'

# circuit: terms and their sum as `attribute` has them.
run_ok view circuit esm_v5 --seq "$seq" --json
assert_json "$out"
total=$(json "$out" '.total * 1e6 | round')
terms=$(json "$out" '[.rows[] | .value * 1e6 | round] | sort | tostring')
line=$(json "$out" '.rows | length')
run_ok attribute esm_v5 --seq "$seq" --pos 1 --target M --json
assert_eq "$total" "$(json "$out" '.total * 1e6 | round')"
assert_eq "$line" "$(json "$out" '[.terms[] | [.component, .layer, .head]] | unique | length')"
run_ok view circuit esm_v5 --seq "$seq" --target K --json
assert_eq K "$(json "$out" .target)"

# The composition of the chosen head, with the focus on it.
run_ok view circuit esm_v5 --seq "$seq" --layer 1 --head 1 --keys '<Tab>' --json
score=$(json "$out" '.score * 1e6 | round')
assert_eq query "$(json "$out" .side)"
run_ok compose esm_v5 --seq "$seq" --layer 1 --head 1 --query 1 --key 0 --json
assert_eq "$score" "$(json "$out" '.score * 1e6 | round')"

# patching: an ablation by itself, a patch when asked for.
run_ok view patching esm_v5 --seq "$seq" --json
assert_eq layer-head "$(json "$out" .grid)"
cells=$(json "$out" '[.rows[].effect * 1e4 | round] | tostring')
run_ok ablate esm_v5 --seq "$seq" --json
assert_eq "$cells" "$(json "$out" '[.grid[][] * 1e4 | round] | tostring')"
run_ok view patching esm_v5 --seq "$seq" --corrupt '<mask>AAAAAAAA' --grid qkv --metric logit --json
assert_eq qkv "$(json "$out" .grid)"
assert_eq logit "$(json "$out" .metric)"
cells=$(json "$out" '[.rows[].value * 1e4 | round] | tostring')
run_ok patch esm_v5 --clean "$seq" --corrupt '<mask>AAAAAAAA' --grid qkv --metric logit --json
assert_eq "$cells" "$(json "$out" '[.values[][] * 1e4 | round] | tostring')"

# nterm: the built-in proteins, and from a row to its circuit.
run_ok view nterm esm_v5 --json
n=$(json "$out" '.rows | length')
run_ok nterm esm_v5 --builtin --json
assert_eq "$n" "$(json "$out" '[.rows // .proteins | .[]] | length')"
run_ok view nterm esm_v5 --keys '<Enter>' --size 80x24
assert_contains "$out" 'circuit'
assert_contains "$out" 'logit of M at <mask>1'

# The screens of a text model: no proteins, and no masks.
"$SX_BUILD/tests/make_tiny_model" neox-text "$TMP/text" >/dev/null || fail 'no text model'
run_ok view circuit "$TMP/text" --prompt 'the old man' --size 80x24
assert_contains "$out" 'score by band'
run_ok view patching "$TMP/text" --prompt 'the old man' --grid layer-token --size 80x24
assert_contains "$out" 'zero ablation'
run_ok view nterm "$TMP/text" --prompt 'the old man' --size 80x24
assert_contains "$out" 'Proteins are for ESM-2'
