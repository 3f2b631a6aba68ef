#!/usr/bin/env bash
# Transformers on the command line: info, and the printed screens that ask them.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures/model" || fail 'no fixtures'

# What a model says of itself, whichever library wrote it.
for model in esm_v5 fair/esm2_tiny.pt neox_v5; do
    run_ok info "$model" --json
    assert_json "$out"
    for key in path name format family layers d_model heads d_head d_mlp vocab bands periods dtype \
        parameters has_lm_head has_tokenizer warnings; do
        [[ $(json "$out" ".files[0] | has(\"$key\")") == true ]] || fail "info $model lacks $key"
    done
    assert_eq 2 "$(json "$out" '.files[0].layers')"
    assert_eq "$(json "$out" '.files[0].bands')" "$(json "$out" '.files[0].periods | length')"
done
run_ok info esm_v5 --json
assert_eq ESM-2 "$(json "$out" '.files[0].family')"
assert_eq true "$(json "$out" '.files[0].has_contact_head')"
assert_eq "6.283" "$(json "$out" '.files[0].periods[0] * 1000 | round / 1000')"
run_ok info esm_v5
assert_contains "$out" 'd_model                16'
# The weights and the contact head's file are no entries of their own.
run_ok info . ../sae/dl_topk --json
assert_eq 4 "$(json "$out" '[.files[] | select(.error == null)] | length')"
run_ok info . --csv
assert_contains "$out" 'GPT-NeoX'

# A family that is not ours: an error when named, no concern when it lies in a folder.
mkdir -p "$TMP/mixed/bert" "$TMP/mixed/esm1b"
cp esm_v5/model.safetensors "$TMP/mixed/bert"
echo '{"model_type": "bert"}' >"$TMP/mixed/bert/config.json"
run_fail 1 info "$TMP/mixed/bert"
assert_contains "$err" bert
cp -r esm_v5 "$TMP/mixed/good"
jq '.position_embedding_type = "absolute"' esm_v5/config.json >"$TMP/mixed/esm1b/config.json"
cp esm_v5/model.safetensors "$TMP/mixed/esm1b"
run_ok info "$TMP/mixed" --json
assert_eq 2 "$(json "$out" '.files | length')"
assert_contains "$(json "$out" '.files[] | select(.error != null) | .error')" absolute
cut=$TMP/mixed/good/model.safetensors
head -c 9000 esm_v5/model.safetensors >"$cut"
run_fail 1 info "$TMP/mixed/good/"
assert_contains "$err" model.safetensors

# Screens.
for view in sequence lens attention contacts bands head; do
    for size in 80x24 120x40 30x8 1x1; do
        run_ok view "$view" esm_v5 --seq 'MQIF<mask>KTLTGK' --size $size
        assert_out_lines "${size#*x}" "$view at $size"
    done
    run_ok view "$view" esm_v5 --ascii --token 3 --key 5 --layer 1 --head 1
    LC_ALL=C grep -q '[^ -~]' <<<"$out" && fail "$view --ascii shows more than ASCII"
    run_ok view "$view" esm_v5 --seq MQIFVK --json
    assert_json "$out"
    run_ok view "$view" --size 80x24
done
printf '>one\nMKT\n>two of them\nACDEF\n' >"$TMP/two.fasta"
run_ok view sequence esm_v5 --fasta "$TMP/two.fasta" --record 2
assert_contains "$out" two
cat >"$TMP/records.session" <<EOF
size 120x30
:open esm_v5
:view sequence
key )
expect-message no record of a FASTA file
:input --fasta $TMP/two.fasta
expect-text record 1, two.fasta
key (
expect-message the first record
key )
expect-text two of them
expect-text record 2, two.fasta
key )
expect-message record 2 is the last one
expect-text two of them
:mask --token 1
expect-text record 2, two.fasta
key (
expect-text record 1, two.fasta
:input MKTAY
expect-no-text two.fasta
EOF
run_ok play "$TMP/records.session"
run_ok view lens esm_v5 --seq MQIFVK --target M
assert_contains "$out" M

# The key bar offers no masks where there are none.
"$SX_BUILD/tests/make_tiny_model" neox-text "$TMP/neox-text" || fail 'no model'
run_ok view sequence esm_v5 --seq MKT --size 140x20
assert_contains "$out" unmask
run_ok view sequence "$TMP/neox-text" --prompt 'the thing' --size 140x20
assert_lacks "$out" mask
assert_lacks "$out" contacts
assert_contains "$out" attention

# What cannot be asked is an error, not a screen.
run_fail 1 view sequence esm_v5 --fasta "$TMP/two.fasta" --record 3
assert_contains "$err" 'the last one is 2'
run_fail 2 view sequence esm_v5 --prompt 'once upon'
assert_contains "$err" --seq
run_fail 2 view sequence esm_v5 --seq ''
assert_contains "$err" empty
run_fail 2 view sequence esm_v5 --seq MKT --token 5
run_fail 2 view lens esm_v5 --seq MKT --target Methionine
run_fail 1 view sequence neox_v5
assert_contains "$err" tokenizer
run_fail 1 view contacts ../sae
assert_contains "$err" 'no model'

# The lines that the views say can be said by hand, and :cmd says them all.
run_ok view sequence esm_v5 --do 'input MKTAY' --do 'mask --token 2' --do 'infer' --do 'cmd' --size 160x20
assert_contains "$out" "--seq 'M<mask>TAY' --token 1"
run_ok view lens esm_v5 --do 'input MKTAY' --do 'lens --target K' --size 160x20
assert_contains "$out" K
run_ok view attention esm_v5 --do 'input MKTAY' --do 'attend --token 2' --do 'attention-map --layer 1 --head 0'
run_ok view contacts esm_v5 --do 'input MKTAYIAK' --do 'contact-map'
run_ok view bands esm_v5 --seq 'M<mask>TAYIAK' --token 2 --key 0 --do 'set --against 5' --do 'select --layer 1 --band 1' --do 'band-table --against 4 --profile' --do 'set --against 4' --do 'cmd' --size 180x40
assert_contains "$out" 'A: mask at 2   B: mask at 4'
assert_contains "$out" '--band 1 --against 4'
# The mean over a file is that of the command line.
printf '>a\nMKTAYIAK\n>b\nMSEYLAWQ\n>short\nMK\n' >"$TMP/many.fa"
run_ok view bands esm_v5 --do "input --fasta $TMP/many.fa" --do 'mask --token 1' --do 'select --token 1 --key 0' --do 'set --against 4' --do 'band-table --against 4' --do 'band-means' --do 'band-interval --layer 1 --head 0 --band 1' --do 'select --layer 1 --head 0 --band 1' --json
means=$(json "$out" .means)
assert_eq 2 "$(json "$means" .sequences)"
run_ok bands esm_v5 --fasta "$TMP/many.fa" --mask --query 1 --key 0 --against 4 --layer 1 --head 0 --json
for term in score-a total direction; do
    told=$(json "$out" ".rows[] | select(.band == 1) | .[\"$term\"] | [.mean, .lo, .hi] | map(numbers) | tostring")
    assert_contains "$told" ','
    assert_eq "$told" "$(json "$means" ".[\"$term\"] | [.mean, .lo, .hi] | tostring")" "$term"
done
run_ok view head esm_v5 --seq 'M<mask>TAYIAK' --token 2 --layer 1 --head 0 --target A --do 'set --bands-removed 2' --do 'head-bands --layer 1 --head 0 --removed 2'
assert_contains "$out" 'P(A)'
assert_contains "$out" 'without band 1'
run_fail 2 view bands esm_v5 --seq MKTAY --do 'set --against 9'
run_fail 2 view bands esm_v5 --seq MKTAY --against nonsense
run_fail 2 view bands esm_v5 --seq MKTAY --do 'select --band 4'

# A view's rows are the numbers of the command.
run_ok view bands esm_v5 --seq MKTAYIAK --token 3 --key 1 --against 5 --json
json "$out" '[.rows[] | [.layer, .head, .band, .score, .qn, .content, .position, .share, .coupling]]' >"$TMP/rows"
run_ok bands esm_v5 --seq MKTAYIAK --query 3 --key 1 --against 5 --json
assert_eq "$(json "$out" '[.bands[] | [.layer, .head, .band, .score, .qn, .content, .position, .share, .coupling]]')" "$(cat "$TMP/rows")"

run_ok view head esm_v5 --seq MKTAYIAK --token 3 --layer 1 --head 1 --json
json "$out" '[.rows[] | select(.band == 2) | [.position, .score, .attention]]' >"$TMP/rows"
run_ok bands esm_v5 --seq MKTAYIAK --query 3 --layer 1 --head 1 --along-keys --json
assert_eq "$(json "$out" '[.keys[] | [.key, .band_2, .attention]]')" "$(cat "$TMP/rows")"
# The line of a cell, said in a shell, gives the cell.
run_ok view bands esm_v5 --seq MKTAYIAK --token 3 --key 1 --against 5 --layer 1 --head 1 --do 'copy line' --size 250x30
line=$(grep -o 'bands [^ ]*esm_v5 .*' <<<"$out" | tail -n 1)
eval "run_ok $line --json"
assert_json "$out"

run_fail 2 view sequence esm_v5 --do 'mask --token 0'
run_fail 2 view sequence esm_v5 --do 'lens --target nonsense'
