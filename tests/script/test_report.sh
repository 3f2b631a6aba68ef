#!/usr/bin/env bash
# report: all claims from end to end on a model with random weights. What the numbers must be is held by
# the unit tests; here the files, their form, and what is refused.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 esm2-bare neox; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
cd "$TMP" || fail 'no folder'

# 24 proteins of 40 residues that start with M, two alike, one that does not.
awk 'BEGIN {
    srand(3); letters = "LAGVSERTIDPKQNFYMHWC"
    for (p = 0; p < 24; p++) {
        s = "M"
        for (i = 1; i < 40; i++) s = s substr(letters, 1 + int(20 * rand()), 1)
        printf ">p%d\n%s\n", p, s
    }
    printf ">again\n%sAAAA\n", s
    printf ">mature\nK%s\n", substr(s, 10)
}' >f.fasta

run_ok report esm2 --fasta f.fasta --out one --json
assert_file one/report.md
assert_file one/report.json
assert_json "$(cat one/report.json)"
doc=$(cat one/report.json)
assert_eq 'C1 C2 C3 C4 C5 C6 C7 C8' "$(json "$doc" '.claims | keys | join(" ")')"
assert_eq 'schema model data' "$(json "$doc" '[keys_unsorted[0:3][]] | join(" ")')"
assert_eq '2 2 16' "$(json "$doc" '.model.shape | "\(.layers) \(.heads) \(.d_model)"')"
assert_eq 32 "$(json "$doc" '.model.fingerprint | length')"
assert_eq '24 8 16 1' "$(json "$doc" '.data | "\(.proteins) \(.find_heads) \(.measure) \(.repeated)"')"
assert_eq true "$(json "$doc" '[.claims[] | has("measured") and has("ci") and has("supports") and
    (.conditions | length > 0) and (.commands | length > 0) and (.sentence | length > 20)] | all')"
assert_eq true "$(json "$doc" '[.claims[].numbers[] | .value as $v | .ci | length == 0 or (.[0] <= $v and $v <= .[1])] | all')"
assert_eq true "$(json "$doc" '[.claims[].grids[] | (.rows | length) == (.values | length)] | all')"
assert_eq false "$(json "$doc" .claims.C1.supports)" 'random weights say M'
for word in '## C1: ' '## C8: ' 'fixed in advance' '```' '█'; do
    assert_contains "$(cat one/report.md)" "$word"
done
assert_lacks "$(cat one/report.md)" 'nan'
assert_contains "$out" '"verdict"'

# The same seed gives the same bytes, another one other proteins.
run_ok report esm2 --fasta f.fasta --out two
assert_contains "$out" 'C8'
cmp one/report.json two/report.json || fail 'report.json differs'
cmp one/report.md two/report.md || fail 'report.md differs'
run_ok report esm2 --fasta f.fasta --out three --seed 2
cmp -s one/report.json three/report.json && fail 'the seed changes nothing'

# An earlier report is not lost.
run_fail 1 report esm2 --fasta f.fasta --out one --seed 2
assert_contains "$err" 'already there; --force'
cmp one/report.json two/report.json || fail 'an earlier report was touched'
run_ok report esm2 --fasta f.fasta --out one --seed 2 --force
cmp one/report.json three/report.json || fail '--force did not replace it'

# The commands of a claim give its numbers for the example protein, and all of them run.
PROTEIN=$(json "$doc" .example.sequence)
FIRST=$(json "$doc" .example.first_sequence)
INSIDE=$(json "$doc" .example.inside_sequence)
at=$(json "$doc" .example.inside)
example() { json "$doc" ".claims.$1.numbers.$2.example"; }
near() { # NUMBER NUMBER WHAT
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d <= 1e-5 && d >= -1e-5) }' ||
        fail "$3: $1, expected $2"
}
[[ $FIRST == '<mask>'* ]] || fail "the example begins with $FIRST"
run_ok predict esm2 --seq "$FIRST" --json
near "$(json "$out" '.masks[0].p20.M')" "$(example C1 p_met_first)" 'P(M) at residue 1'
near "$(json "$out" '.masks[0].p33.M')" "$(example C1 p_met_first_of_33)" 'P(M) of 33'
run_ok predict esm2 --seq "$INSIDE" --json
near "$(json "$out" '.masks[0].p20.M')" "$(example C3 p_inside)" 'P(M) inside'
run_ok attribute esm2 --seq "$INSIDE" --pos "$at" --target M --against mean --json
near "$(json "$out" .groups.bos)" "$(example C4 bos_inside)" 'attribution to BOS'
near "$(json "$out" .groups.mlp)" "$(example C4 mlp_inside)" 'attribution to MLPs'
json "$doc" '.claims[].commands[]' >lines.txt
[[ $(wc -l <lines.txt) -ge 15 ]] || fail 'few command lines'
export PROTEIN FIRST INSIDE
while read -r line; do
    line=${line/#sextant/\"\$SEXTANT\"}
    eval "$line" </dev/null >.line 2>&1 || fail "$line: $(cat .line)"
done <lines.txt

# Limits, proteins without M, and refusals.
run_ok report esm2 --fasta f.fasta --out four --limit 9 --max-length 40 --json
assert_eq '9 3' "$(json "$out" '.data | "\(.proteins) \(.find_heads)"')"
sed -n '/mature/,$p' f.fasta >m.fasta
for i in 1 2 3 4; do printf '>q%d\nK%sLAGVSERTIDPKQNFYMHWCLAGVSERTIDPKQ\n' $i "${i}AAAA" | tr 1234 DEFG; done >>m.fasta
run_fail 2 report esm2 --fasta m.fasta --out five
assert_contains "$err" '--add-met'
[[ ! -e five ]] || fail 'a refused report left a folder'
run_ok report esm2 --fasta m.fasta --out five --add-met --json
[[ $(json "$out" .data.given_met) -ge 3 ]] || fail 'no M was put in front'
run_fail 1 report neox --fasta f.fasta --out no
assert_contains "$err" 'GPT-NeoX'
run_fail 1 report esm2-bare --fasta f.fasta --out no
run_fail 2 report esm2 --out no
run_fail 2 report esm2 --fasta f.fasta --swissprot f.fasta --out no
run_fail 1 report esm2 --swissprot f.fasta --out no
run_fail 2 report esm2 --fasta f.fasta
[[ ! -e no ]] || fail 'a refused report left a folder'
