#!/usr/bin/env bash
# bands: the promised keys, its three other forms, and what it refuses. The numbers are held by the
# unit tests; here those of the model whose weights follow from a formula.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 neox; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
esm=$TMP/esm2 neox=$TMP/neox
cd "$TMP" || fail 'no folder'

near() { # NUMBER NUMBER TOLERANCE WHAT
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && d >= -t) }' ||
        fail "$4: $1, expected $2"
}

# --- A against B: the known values of layer 1, head 1, band 0. Tokens 15 11 7 19 are K T V Y.
run_ok bands $esm --seq MKTVY --query 1 --mask --key 0 --against 4 --layer 1 --head 1 --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq 4 "$(json "$out" '.bands | length')"
for key in layer head band period score r rho cos qn kn dir content position norm_only \
    direction_only interaction; do
    assert_eq true "$(json "$out" ".bands[0] | has(\"$key\")")" "$key"
done
run_ok bands $esm --ids 0,32,15,11,7,19,2 --key 0 --layer 1 --head 1 --json
near "$(json "$out" '.bands[0].score')" -0.296521 2e-6 'score'
near "$(json "$out" '.bands[1].alpha')" 1.664996 2e-6 'alpha'
near "$(json "$out" '[.bands[].score] | add')" -0.399041 2e-6 'sum of the bands'
near "$(json "$out" '.heads[0].attention')" 0.075227 2e-6 'attention'
near "$(json "$out" '.residual')" 0 1e-5 'residual'
assert_eq false "$(json "$out" '.bands[0] | has("qn")')" 'A alone has no change'
run_ok bands $esm --ids 0,20,15,11,7,19,2 --query 1 --mask --against 4 --layer 1 --head 1 --json
near "$(json "$out" '.bands[0].dir')" 0.430102 2e-6 'direction'
near "$(json "$out" '.bands[0].position')" 0.432093 2e-6 'position'
near "$(json "$out" '[.bands[].qn] | add')" 0.020513 2e-6 'query norm'
near "$(json "$out" '.heads[0].attention_b')" 0.110134 2e-6 'attention of B'
# Under a typed mask nobody knows the residue.
run_ok bands $esm --seq '<mask>KTVY' --against 4 --json
assert_contains "$(json "$out" '.warnings | join(" ")')" 'X stands there'
# Another sequence.
run_ok bands $esm --seq '<mask>KTVY' --against 'K<mask>TVYAA' --json
assert_eq 2 "$(json "$out" .query_b)"
assert_contains "$(json "$out" '.warnings | join(" ")')" 'scales'
run_ok bands $esm --seq MKTVY --query 1 --mask --against 4 --groups 10,200 --profile --json
assert_eq 12 "$(json "$out" '.groups | length')"
assert_eq '1 2 3 4 5' "$(json "$out" '.profile.at | join(" ")')"
assert_eq 16 "$(json "$out" '.profile.scores | length')"

# --- tables
run_ok bands $esm --seq '<mask>KTVY' --csv
assert_eq 17 "$(wc -l <<<"$out")" 'rows of CSV'
assert_contains "$out" 'layer,head,band,period,score'
run_ok bands $esm --seq MKTVY --query 1 --mask --against 4 --metric coupling
assert_contains "$out" 'layer 1'
run_ok bands $esm --seq '<mask>KTVY'
assert_contains "$out" 'readout'
run_ok bands $esm --seq '<mask>KTVY' --along-keys --layer 1 --head 0 --removed 1 --json
assert_eq 7 "$(json "$out" '.keys | length')"
near "$(json "$out" '[.keys[].attention_removed] | add')" 1 1e-5 'attention without a band'
run_ok bands $esm --seq MKTVY --survey --json
assert_eq 16 "$(json "$out" '.bands | length')"
near "$(json "$out" '[.bands[:4][].share] | add')" 1 1e-6 'shares of a head'
run_ok bands $esm --seq MKTVY --survey --layer 0 --head 1 --csv
assert_contains "$out" 'by_offset'

# --- GPT-NeoX: the dimensions that are not rotated are a band
run_ok bands $neox --ids 3,17,5,39,0,8 --query 3 --key 1 --against 5 --json
assert_eq null "$(json "$out" '.bands[2].period')"
assert_eq 'not rotated' "$(json "$out" '.bands[2].period_why')"
near "$(json "$out" '.bands[2].position')" 0 1e-12 'position of the rest'
run_ok bands $neox --ids 3,17,5,39,0,8 --survey

# --- several sequences: the mean of what each gives alone
printf '>a\nMKTVRQ\n>b\nMSEYLA\n>short\nMK\n' >many.fa
run_ok bands $esm --fasta many.fa --query 1 --mask --against 4 --layer 1 --head 0 --groups 10 --json
many=$out
assert_eq 2 "$(json "$many" .sequences)"
assert_contains "$(json "$many" '.warnings | tostring')" 'short left out'
mean=0
for seq in MKTVRQ MSEYLA; do
    run_ok bands $esm --seq $seq --query 1 --mask --against 4 --layer 1 --head 0 --json
    mean=$(jq -n "$mean + $(json "$out" '[.bands[] | .dir] | add') / 2")
done
near "$(json "$many" '.rows[0].direction.mean')" "$mean" 1e-6 'mean direction'
assert_eq true "$(json "$many" '.rows[0].direction | .lo <= .mean and .mean <= .hi')"
near "$(json "$many" '.rows[0] | .norm_share.mean + .key_share.mean + .direction_share.mean')" 1 1e-9 shares
near "$(json "$many" '[.rows[] | select(.band != null) | .total.mean] | add')" \
    "$(json "$many" '.rows[0].total.mean')" 1e-9 'bands add up'
run_ok bands $esm --fasta many.fa --query 1 --mask --against 4
assert_contains "$out" '2 sequences'

# --- the margin's change, and what its bands leave of it
run_ok bands $esm --seq MKTVRQ --query 1 --mask --against 4 --margin --json
assert_eq 16 "$(json "$out" '.margins | length')"
near "$(json "$out" '([.margins[] | select(.layer == 1 and .head == 0) | .total] | add) + .heads[2].margin_residual')" \
    "$(json "$out" '.heads[2] | .margin_b - .margin')" 1e-5 'margin by band'
run_ok bands $esm --seq MKTVRQ --query 1 --mask --against 4 --margin
assert_contains "$out" 'change of the margin, direction'
run_ok bands $esm --seq MKTVRQ --query 1 --mask --against 4 --margin --csv
assert_contains "$(head -1 <<<"$out")" ',margin_change'

# --- what is refused
refused() { # WORD ARGUMENTS…
    local word=$1
    shift
    run_fail 2 "$@"
    assert_contains "$err" "$word"
}
refused '--head 2' bands $esm --seq '<mask>KTVY' --head 2
refused '--layer 7' bands $esm --seq '<mask>KTVY' --layer 7
refused 'no <mask>' bands $esm --seq MKTVY
refused '--key 99' bands $esm --seq '<mask>KTVY' --key 99
refused '--against 9' bands $esm --seq '<mask>KTVY' --against 9
refused '<cls>' bands $esm --seq '<mask>KTVY' --against 0
refused 'query of A' bands $esm --seq '<mask>KTVY' --against 1
refused 'ascending' bands $esm --seq '<mask>KTVY' --groups 10,5
refused 'needs --against' bands $esm --seq '<mask>KTVY' --metric content
refused 'give --against' bands $esm --seq '<mask>KTVY' --margin
refused '7 keys in A and 6 in B' bands $esm --seq '<mask>KTVY' --margin --against '<mask>KTV'
refused 'not for --survey' bands $esm --seq MKTVY --survey --margin --against 3
refused 'along-keys needs' bands $esm --seq '<mask>KTVY' --along-keys --layer 0
refused 'one at a time' bands $esm --seq '<mask>KTVY' --seq MKT --survey
refused 'need --against POS' bands $esm --seq '<mask>KTVY' --seq '<mask>KT'
refused 'no sequence' bands $esm --seq '<mask>KTVY' --seq '<mask>KT' --against 90
refused 'behind it' bands $neox --ids 3,17,5,39 --query 1 --key 2
run_fail 1 bands $neox --ids 3,17,5,39 --mask
assert_contains "$err" 'works with ESM-2'
