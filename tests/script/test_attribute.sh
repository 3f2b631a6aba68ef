#!/usr/bin/env bash
# attribute and compose on small transformers: the known values, the keys of the documents, tables,
# and what is refused.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 esm2-bare neox neox-text; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
cd "$TMP" || fail 'no folder'

near() { # NUMBER NUMBER TOLERANCE WHAT
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && d >= -t) }' ||
        fail "$4: $1, expected $2"
}
below() { # NUMBER LIMIT WHAT
    awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }' || fail "$3: $1"
}

# --- attribute: the model whose weights follow from a formula
ids=0,32,15,11,7,19,2
run_ok attribute esm2 --ids $ids --pos 1 --target M --json
near "$(json "$out" '.logit')" 1.324140 2e-6 logit
near "$(json "$out" '.total')" 1.324140 2e-6 total
near "$(json "$out" '[.terms[].value] | add')" "$(json "$out" '.total')" 1e-9 'sum of terms'
below "$(json "$out" '.residual')" 1e-5 residual
near "$(json "$out" '.terms[] | select(.component == "mlp" and .layer == 0) | .value')" 2.292990 2e-6 'L0 MLP'
near "$(json "$out" '[.terms[] | select(.layer == 1 and .head == 0) | .value] | add')" -0.661413 2e-6 L1.H0
near "$(json "$out" '.terms[] | select(.component == "const") | .value')" -0.373123 2e-6 const
assert_eq 'bos context own' "$(json "$out" '[.terms[] | select(.component == "head") | .source] | unique | join(" ")')"
near "$(json "$out" '[.groups[]] | add')" 1.324140 2e-6 groups
assert_eq 'M 1 secant' "$(json "$out" '"\(.target) \(.pos) \(.method)"')"
assert_eq false "$(json "$out" 'has("warnings") or has("by_source") or has("linearised") or has("against")')" 'what was not asked for'

# The first mask and methionine when nothing is said.
same=$(json "$out" '.terms')
run_ok attribute esm2 --seq '<mask>KTVRQ' --json
run_ok attribute esm2 --ids $ids --json
assert_eq "$same" "$(json "$out" '.terms')" 'defaults'

run_ok attribute esm2 --ids $ids --against mean --sources --linearised --json
assert_eq mean "$(json "$out" '.against')"
assert_eq '2 2 7' "$(json "$out" '[(.by_source | length), (.by_source[0] | length), (.by_source[1][1] | length)] | join(" ")')"
near "$(json "$out" '.by_source[1][0] | add')" "$(json "$out" '[.terms[] | select(.layer == 1 and .head == 0) | .value] | add')" 1e-6 'sources of a head'
near "$(json "$out" '(.linearised.by_token | add) + .linearised.biases')" "$(json "$out" '.logit')" 1e-5 linearised
below "$(json "$out" '.linearised.residual')" 1e-5 'residual of the linearised'
assert_eq 0 "$(json "$out" '.linearised.by_token[1]')" 'a mask is zero'
run_ok attribute esm2 --ids $ids --against A --json
near "$(json "$out" '.logit')" 2.220579 2e-6 'M - A'
run_ok attribute esm2 --ids $ids --gradient --json
assert_eq gradient "$(json "$out" '.method')"

run_ok attribute esm2 --ids $ids --csv
assert_out_lines 11
assert_eq component,layer,head,total,bos,own,context "$(head -1 <<<"$out")"
run_ok attribute esm2 --ids $ids --linearised
assert_contains "$out" 'logit of M +1.3241'
assert_contains "$out" 'L0 MLP       +2.2930'
assert_contains "$out" 'residual'
assert_contains "$out" '<mask>'
run_ok attribute esm2 --ids $ids --gradient
assert_contains "$out" 'gradient'

# GPT-NeoX: the next token, or at the end the most probable one.
run_ok attribute neox --ids 3,17,5,39,0,8 --pos 3 --json
assert_eq '#0' "$(json "$out" '.target')"
below "$(json "$out" '.residual')" 1e-5 'GPT-NeoX'
run_ok attribute neox --ids 3,17,5,39,0,8 --target '#0' --linearised --json
near "$(json "$out" '.logit')" 1.787853 2e-6 'known logit'
below "$(json "$out" '.linearised.residual')" 1e-5 'GPT-NeoX, linearised'
run_ok attribute neox --ids 3,17,5,39,0,8 --json
assert_eq '#39' "$(json "$out" '.target')"
run_ok attribute neox-text --prompt 'the thing' --target the --json
assert_eq the "$(json "$out" '.target')"

# --- compose
run_ok compose esm2 --ids $ids --layer 1 --head 1 --query 1 --key 0 --json
near "$(json "$out" '.score')" -0.399041 2e-6 score
near "$(json "$out" '[.terms[].score] | add')" -0.399041 2e-6 'sum of the terms'
near "$(json "$out" '.terms[] | select(.component == "attn_bias") | .score')" -0.257331 2e-6 'L0 bias'
near "$(json "$out" '.terms[] | select(.component == "mlp") | .radial[0]')" 1.256211 2e-6 radial
near "$(json "$out" '[.terms[].tangential[0]] | add')" 0 1e-9 tangential
assert_eq '4 query' "$(json "$out" '"\(.bands | length) \(.side)"')"
run_ok compose esm2 --ids $ids --layer 1 --head 1 --side key --pairs --json
near "$(json "$out" '[.terms[].score] | add')" -0.399041 2e-6 'the key'
assert_eq '6 6' "$(json "$out" '"\(.pairs | length) \(.pairs[0] | length)"')"
near "$(json "$out" '[.pairs[3][]] | add')" -0.257331 2e-6 'a row of pairs'
run_ok compose esm2 --ids $ids --layer 1 --head 0 --side value --json
assert_eq M "$(json "$out" '.target')"
below "$(json "$out" '.residual')" 1e-5 'value'
run_ok compose neox --ids 3,17,5,39,0,8 --layer 1 --head 0 --query 4 --key 2 --json
assert_eq '3 null' "$(json "$out" '"\(.bands | length) \(.bands[2].period)"')" 'what is not rotated'
below "$(json "$out" '.residual')" 1e-5 'GPT-NeoX'
run_ok compose esm2 --ids $ids --layer 1 --head 1 --csv
assert_out_lines 7
assert_eq component,layer,head,score,band_0,band_1,band_2,band_3 "$(head -1 <<<"$out")"
run_ok compose esm2 --ids $ids --layer 1 --head 1
assert_contains "$out" 'score -0.3990'
run_ok compose esm2-bare --ids $ids --layer 1 --head 1
run_ok compose esm2 --ids $ids --layer 1 --head 1 --side value
assert_lacks "$out" period

run_ok compose esm2 --ids $ids --layer 1 --head 1 --causal --json
near "$(json "$out" '.attention')" 0.075227 1e-6 'attention with all'
near "$(json "$out" '.logit')" 1.324140 2e-6 'logit with all'
near "$(json "$out" '.terms[0].logit_without')" "$(json "$out" '.logit')" 1e-6 'a mask has no embedding to take out'
assert_eq 'number null' "$(json "$out" '"\(.terms[4].attention_without | type) \(.terms[5].attention_without)"')"
[[ $(json "$out" '.terms[4].attention_without') != "$(json "$out" '.attention')" ]] || fail 'nothing was taken out'
run_ok compose esm2-bare --ids $ids --layer 1 --head 1 --side key --causal --json
assert_eq false "$(json "$out" 'has("logit")')"
run_ok compose esm2 --ids $ids --layer 1 --head 1 --causal
assert_contains "$out" 'without'

# --- heads
run_ok heads esm2 --json
assert_eq '4 8 8' "$(json "$out" '"\(.heads | length) \(.heads[3].ov | length) \(.heads[0].qk | length)"')"
near "$(json "$out" '.heads[0].ov[0]')" 1.7119564161448 1e-12 'largest singular value'
assert_eq '1 2 64 4' "$(json "$out" '.layer0_mask_to_bos | "\(.first) \(.scores | length) \(.scores[0] | length) \(.bands[1] | length)"')"
near "$(json "$out" '.layer0_mask_to_bos.scores[0][0]')" 0.109678 1e-4 'profile at residue 1'
near "$(json "$out" '.layer0_mask_to_bos.scores[0][3]')" 0.102794 1e-4 'profile at residue 4'
assert_eq false "$(json "$out" '.heads[0] | has("readout")')"
run_ok heads esm2 --ids $ids --json
near "$(json "$out" '[.heads[3].score[]] | add')" -0.399041 2e-6 'four terms of the score'
near "$(json "$out" '.heads[3].attention')" 0.075227 1e-6 attention
assert_eq 20 "$(json "$out" '.heads[0].residues | length')"
assert_eq true "$(json "$out" '.heads[2] | .residues.M == .readout')"
writes=$(json "$out" '.heads[2].writes')
run_ok attribute esm2 --ids $ids --json
near "$writes" "$(json "$out" '.terms[] | select(.layer == 1 and .head == 0 and .source == "bos") | .value')" 1e-6 'what a head writes from <cls>'
run_ok heads neox --ids 3,17,5,39,0,8 --query 4 --key 2 --json
assert_eq '4 false' "$(json "$out" '"\(.heads | length) \(has("layer0_mask_to_bos"))"')"
run_ok heads esm2-bare --csv
assert_eq layer,head,ov_largest,ov_rank,qk_largest,qk_rank "$(head -1 <<<"$out")"
run_ok heads esm2 --ids $ids
assert_contains "$out" 'towards M'
run_fail 2 heads esm2 --ids $ids --key 7
run_fail 2 heads esm2 --ids $ids --query 7
run_fail 2 heads esm2 --ids $ids --target QQ
run_fail 2 heads neox --ids 3,17,5 --query 1 --key 2

# --- refusals
run_fail 2 attribute esm2 --ids $ids --target Q2
assert_contains "$err" "'Q2' is no token"
run_fail 2 attribute esm2 --ids $ids --target '#33'
run_fail 2 attribute esm2 --ids $ids --target '#99999999999999999999'
run_fail 2 attribute esm2 --ids $ids --against Q2
run_fail 2 attribute esm2 --ids $ids --pos 7
assert_contains "$err" 'the last token is 6'
run_fail 2 attribute esm2 --seq KTV
assert_contains "$err" '--pos'
run_fail 2 attribute esm2 --seq '<mask>KT' --seq '<mask>KV'
run_fail 2 attribute esm2
run attribute esm2-bare --ids $ids
[[ $status -ne 0 ]] || fail 'a model without a head'
assert_contains "$err" 'no output head'
run compose esm2-bare --ids $ids --layer 1 --head 1 --side value
[[ $status -ne 0 ]] || fail 'the value of a model without a head'
run_fail 2 compose esm2 --ids $ids --head 1
run_fail 2 compose esm2 --ids $ids --layer 2 --head 0
assert_contains "$err" 'the last one is 1'
run_fail 2 compose esm2 --ids $ids --layer 0 --head 2
run_fail 2 compose esm2 --ids $ids --layer 0 --head 0 --query 7
run_fail 2 compose esm2 --ids $ids --layer 0 --head 0 --key 7
run_fail 2 compose esm2 --ids $ids --layer 0 --head 0 --side both
run_fail 2 compose esm2 --ids $ids --layer 0 --head 0 --side value --pairs
run_fail 2 compose neox --ids 3,17,5 --layer 0 --head 0 --query 1 --key 2
assert_contains "$err" 'does not see'
run attribute esm2 --seq "<mask>$(printf 'A%.0s' {1..3000})" --linearised --max-memory 0.01
[[ $status -ne 0 ]] || fail 'more than the memory allowed'
assert_contains "$err" '--max-memory'

# --- in the explorer: the view asks, and a line asks for more
run_ok view circuit esm2 --seq '<mask>KTVRQ' --size 120x40 --do 'attribution --linearised' --do 'composition --layer 1 --head 1 --side key'
assert_contains "$out" 'L0 MLP'
assert_contains "$out" residual
run_ok view circuit neox-text --prompt 'the thing' --size 120x40
assert_contains "$out" 'logit of'
