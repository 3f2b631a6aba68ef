#!/usr/bin/env bash
# The two small models that the repository ships: they load, pass their self check, give what
# transformers gives for them, and show what their cards say.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/examples" || fail 'no examples'

for model in models/esm2-mini models/neox-mini; do
    assert_file "$model/README.md"
    assert_file "$model/training_log.csv"
    run_ok selfcheck "$model" --json
    assert_eq true "$(json "$out" .ok)" "selfcheck $model"
    (($(stat -c %s "$model/model.safetensors") < 9000000)) || fail "$model: more than 9 MB"
done

# Greedy text and its log probabilities, from transformers 5.23 in F32. The two best tokens are
# everywhere at least 0.15 logits apart.
run_ok generate models/neox-mini --prompt 'He opened the door, and' --greedy --max-new 24 --json
assert_eq '[859,1594,264,833,13,281]' "$(json "$out" '.prompt_ids | tostring')"
assert_eq ' the door opened, and the door opened, and the door opened, and the door opened, and the door opened,' \
    "$(json "$out" .text)"
assert_eq true "$(json "$out" '(.logprobs[0] + 2.28264 | fabs) < 0.001')"

# Ubiquitin starts with methionine, the mature HIV-1 protease with proline: this model says M of both,
# and not in the middle of a protein.
met() { # sequence: P(M) over the 20 residues at its first mask
    run_ok predict models/esm2-mini --seq "$1" --json
    json "$out" '.masks[0].p20.M'
}
ubiquitin='<mask>QIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG'
protease='<mask>QITLWQRPLVTIKIGGQLKEALLDTGADDTVLEEMSLPGRWKPKMIGGIGGFIKVRQYDQILIEICGHKAIGTVLVGPTPVNIIGRNLLTQIGCTLNF'
inside=M${ubiquitin#<mask>}
inside="${inside:0:30}<mask>${inside:31}"
assert_eq true "$(jq -n "$(met "$ubiquitin") > 0.9")" 'P(M) of ubiquitin'
assert_eq true "$(jq -n "$(met "$protease") > 0.9")" 'P(M) of HIV-1 protease'
assert_eq true "$(jq -n "$(met "$inside") < 0.1")" 'P(M) inside ubiquitin'
