#!/usr/bin/env bash
# patch, ablate and positions on small transformers: the documents, that the three agree with `run`
# and with each other, and what is refused. The numbers are held by the unit tests.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 esm2-bare neox neox-text; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
esm=$TMP/esm2 bare=$TMP/esm2-bare text=$TMP/neox-text neox=$TMP/neox
cd "$TMP" || fail 'no folder'

near() { # NUMBER NUMBER TOLERANCE WHAT
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && d >= -t) }' ||
        fail "$4: $1, expected $2"
}

clean='<mask>KTVRAG' corrupt='<mask>RRLEAG'

# --- patch
run_ok patch $esm --clean $clean --corrupt $corrupt --grid layer-token --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq 'patch resid centred M 1' "$(json "$out" '[.how, .site, .metric, .target, .token] | join(" ")')"
assert_eq '3 9 layer token' "$(json "$out" '[(.grid | length), (.grid[0] | length), .axes.rows.name, .axes.columns.name] | join(" ")')"
assert_eq '<cls> <mask> R R L E A G <eos>' "$(json "$out" '.axes.columns.labels | join(" ")')"
assert_eq 27 "$(json "$out" '.rows | length')"
assert_eq true "$(json "$out" .normalised)"
# The output's token is what the head reads; the others of that row are not looked at.
near "$(json "$out" '.grid[2][1]')" 1 1e-5 'effect of the output'
near "$(json "$out" '.grid[2][3]')" 0 1e-5 'effect of another token of the output'
near "$(json "$out" '.values[2][1] - .clean')" 0 1e-5 'value of the output'
centred=$(json "$out" .clean)
# The metric is what `predict` says.
run_ok patch $esm --clean $clean --corrupt $corrupt --metric p20 --json
p20=$(json "$out" .clean)
assert_eq '2 2' "$(json "$out" '[(.grid | length), (.grid[0] | length)] | join(" ")')"
run_ok predict $esm --seq $clean --json
near "$(json "$out" '.masks[0].p20.M')" "$p20" 1e-6 'P(M)'
# A run into itself changes nothing, bit for bit, and is not normalised.
for grid in layer-token layer-head qkv layer-band layer-block; do
    run_ok patch $esm --clean $clean --corrupt $clean --grid $grid --json
    assert_eq 'false 0' "$(json "$out" '[.normalised, ([.grid[][]] | max)] | join(" ")')" $grid
    assert_eq 0 "$(json "$out" '[.grid[][]] | min')" $grid
done
run_ok patch $esm --clean $clean --corrupt "R<mask>RLEAG" --grid qkv --from-token 1 --rotated --json
assert_eq '2 2 6' "$(json "$out" '[.token, (.grid | length), (.grid[0] | length)] | join(" ")')"
run_ok patch $esm --clean $clean --corrupt "<mask>R<mask>LEAG" --embed-scale 0.9 --json
run_ok patch $text --clean 'the cat' --corrupt 'the dog' --target e --grid layer-block --json
assert_eq '2 2' "$(json "$out" '[(.grid | length), (.grid[0] | length)] | join(" ")')"
run_ok patch $esm --clean $clean --corrupt $corrupt --csv
assert_eq 5 "$(wc -l <"$TMP/.out")"
assert_contains "$out" 'layer,head,label,value,effect'
run_ok patch $esm --clean $clean --corrupt $corrupt
assert_contains "$out" 'the part of clean - corrupt that is restored'
assert_contains "$out" 'largest'

run_fail 2 patch $esm --clean $clean --corrupt '<mask>RRLEA'
assert_contains "$err" 'clean has 9 tokens and corrupt 8'
run_fail 2 patch $esm --clean $clean --corrupt '<mask>R<mask>LEAG'
assert_contains "$err" '--embed-scale'
run_fail 2 patch $esm --clean AKTVRAG --corrupt RRRLEAG
assert_contains "$err" 'no <mask>'
run_ok patch $esm --clean AKTVRAG --corrupt RRRLEAG --token 2
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --metric shape
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --target Met
assert_contains "$err" 'no token'
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --token 9
run_fail 2 patch $esm --clean $clean --corrupt ''
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --metric p20 --target X
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --grid layer-head --rotated
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --from-token 1 --all-tokens
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --embed-scale 0
run patch $bare --clean $clean --corrupt $corrupt
assert_eq 1 "$status" 'a model without a head'
run patch $neox --clean abc --corrupt abd
[[ $status != 0 ]] || fail 'a model without a tokenizer'

# --- ablate
run_ok ablate $esm --seq $clean --json
near "$(json "$out" .clean)" "$centred" 1e-6 'clean of ablate'
assert_eq 'head zero 2 2' "$(json "$out" '[.site, .how, (.grid | length), (.grid[0] | length)] | join(" ")')"
near "$(json "$out" '.values[1][0] - .clean - .grid[1][0]')" 0 1e-5 'difference'
for site in mlp attn block qkv band resid edge bos-value bos-key bos-edge bos-knockout; do
    run_ok ablate $esm --seq $clean --site $site --json
done
assert_eq knockout "$(json "$out" .how)"
run_ok ablate $esm --seq $clean --site edge --how zero --json
assert_eq '2 9 key' "$(json "$out" '[(.grid | length), (.grid[0] | length), .axes.columns.name] | join(" ")')"
printf '>a\nMKTVRAGLLE\n>b\nGGTVKKE\n>c\nQQQQQW\n' >set.fasta
run_ok ablate $esm --seq $clean --how mean --reference set.fasta --json
one=$(json "$out" '.grid | flatten | join(" ")')
run_ok ablate $esm --seq $clean --how resample --reference set.fasta --seeds 3 --seed 5 --json
assert_eq '3 2' "$(json "$out" '[.seeds, (.sd | length)] | join(" ")')"
two=$(json "$out" '.grid | flatten | join(" ")')
[[ $one != "$two" ]] || fail 'a mean and a draw are the same'
run_ok ablate $esm --seq $clean --how resample --reference set.fasta --seeds 3 --seed 5 --json
assert_eq "$two" "$(json "$out" '.grid | flatten | join(" ")')" 'the same seed'
run_ok ablate $text --seq 'the cat' --target e --site edge
assert_contains "$out" 'knockout of edge'
run_fail 2 ablate $esm --seq $clean --how zero --seeds 2
run_fail 2 ablate $esm --seq $clean --site head --how knockout
run_fail 2 ablate $esm --seq $clean --site edge --how mean
run_fail 2 ablate $esm --seq KTVRAG
run_fail 2 ablate $esm --seq $clean --site nothing
run ablate $esm --seq $clean --how mean --reference missing.fasta
[[ $status != 0 ]] || fail 'a set that is not there'

# --- positions
run_ok positions $esm --fasta set.fasta --json
assert_eq '3 10' "$(json "$out" '[.sequences, (.rows | length)] | join(" ")')"
assert_eq '3 3 1' "$(json "$out" '[.rows[0].n, .rows[5].n, .rows[9].n] | join(" ")')"
run_ok predict $esm --seq '<mask>KTVRAGLLE' --seq '<mask>GTVKKE' --seq '<mask>QQQQW' --json
mean=$(json "$out" '[.masks[].p20.M] | add / 3')
run_ok positions $esm --fasta set.fasta --last 1 --gap 0,5 --shift 0,512 --query-only 1,3.5 --per-band --prepend 0,2 \
    --delete 1 --bos --context --json
near "$(json "$out" '.rows[0].p')" "$mean" 1e-6 'P(M) of the first residue'
first() { json "$out" "[.rows[] | select($1)][0].p"; }
# What changes nothing, and what only shifts all positions.
for same in '.experiment == "gap" and .x == 0 and .label == null' \
    '.experiment == "shift" and .x == 0' \
    '.experiment == "query-only" and .x == 1 and .label == null' \
    '.experiment == "prepend" and .x == 0' '.label == "<cls>"' '.label == "as it is"'; do
    near "$(first "$same")" "$mean" 1e-6 "$same"
done
near "$(first '.label == "removed"')" "$(first '.label == "removed, from 0"')" 1e-4 'a shift of all positions'
near "$(first '.experiment == "shift" and .x == 512')" "$mean" 1e-4 'a shift by 512'
[[ $(first '.experiment == "shift" and .x == 512') != "$(first '.experiment == "shift" and .x == 0')" ]] ||
    fail 'a shift by 512 shifted nothing: not even the rounding is another'
run_ok positions $esm --fasta set.fasta --limit 1 --csv
assert_eq 11 "$(wc -l <"$TMP/.out")"
run_fail 2 positions $esm --seq '<mask>KT'
assert_contains "$err" 'no sequence'
run_fail 2 positions $esm --seq KTV --gap 1,x
run_fail 2 positions $esm --seq KTV --prepend -1
run_fail 2 positions $esm
run positions $text --prompt abc
[[ $status != 0 ]] || fail 'positions of a language model'

# --- parts of a band: a query put into itself has all of them, and its length does not turn
inside='MKTVRA<mask>'
band() { # ARGUMENTS…: the values of a layer-band grid
    run_ok patch $esm --corrupt '<mask>KTVRAG' --token 1 --grid layer-band "$@" --json
    json "$out" '.values | tostring'
}
same() { # LIST LIST WHAT
    jq -en --argjson a "$1" --argjson b "$2" \
        '[$a, $b | flatten] | transpose | all((.[0] - .[1]) | fabs < 1e-5)' >/dev/null || fail "$3: $1, $2"
}
alone=$(band --clean '<mask>KTVRAG')
same "$alone" "$(band --clean '<mask>KTVRAG' --band-part norm)" 'own length'
same "$alone" "$(band --clean '<mask>KTVRAG' --band-part direction)" 'own direction'
same "$alone" "$(band --clean '<mask>KTVRAG' --band-part rotation --rotated)" 'own rotation'
norm=$(band --clean "$inside" --from-token 7 --band-part norm)
same "$norm" "$(band --clean "$inside" --from-token 7 --band-part norm --rotated)" 'length before and after rotation'
for part in full norm direction 'rotation --rotated'; do
    # shellcheck disable=SC2086
    [[ $(band --clean "$inside" --from-token 7 --band-part $part) != "$alone" ]] || fail "$part changes nothing"
done
# Keys: those of token 0, or all; by the same word as the query's.
run_ok patch $esm --clean "$inside" --corrupt '<mask>KTVRAG' --grid layer-band --side key --json
assert_eq key "$(json "$out" .side)"
key=$(json "$out" '.values | tostring')
run_ok patch $esm --clean "$inside" --corrupt '<mask>KTVRAG' --grid layer-band --side key --all-tokens --json
[[ $key != "$(json "$out" '.values | tostring')" ]] || fail 'all keys are token 0'
run_ok ablate $esm --seq '<mask>KTVRAG' --site band --side key --json
keys=$(json "$out" '.values | tostring')
run_ok ablate $esm --seq '<mask>KTVRAG' --site band --json
assert_eq query "$(json "$out" .side)"
[[ $keys != "$(json "$out" '.values | tostring')" ]] || fail 'keys are queries'
run_fail 2 ablate $esm --seq '<mask>KTVRAG' --site head --side key
assert_contains "$err" 'of queries or keys'
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --grid layer-head --band-part norm
assert_contains "$err" 'only patches of bands'
run_fail 2 patch $esm --clean $clean --corrupt $corrupt --grid layer-band --band-part rotation
assert_contains "$err" '--rotated'

# --- the explorer's grid
run_ok view patching $esm --size 100x30 --color none --do "input MKTVRAG" --do "mask --token 1" \
    --do "patch-grid --corrupt <mask>RRLEAG --grid layer-token --metric logit"
assert_contains "$out" '27/27'
