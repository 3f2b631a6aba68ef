#!/usr/bin/env bash
# tokenize: both kinds of tokenizers, the three ways to give a text, and what is no text.
. "$(dirname "$0")/../support/script.sh"

fixtures=$SX_SOURCE/tests/fixtures/tokenizer
mkdir "$TMP/esm" "$TMP/neox" "$TMP/empty"
echo '{"model_type": "esm"}' >"$TMP/esm/config.json"
gzip -dc "$fixtures/pythia.tokenizer.json.gz" >"$TMP/neox/tokenizer.json"
neox=$TMP/neox

# --- ESM-2 -------------------------------------------------------------------------------------
run_ok tokenize "$TMP/esm" --text 'MK<mask>v' --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq '[0,20,15,32,7,2]' "$(json "$out" '.ids|tostring')"
assert_eq '["<cls>","M","K","<mask>","V","<eos>"]' "$(json "$out" '.tokens|tostring')"
assert_eq '<cls>MK<mask>V<eos>' "$(json "$out" .decoded)"
assert_eq null "$(json "$out" .warnings)"

run_ok tokenize "$TMP/esm" --text 'MKJ T*' --no-specials --json
assert_eq '[20,15,3,11,3]' "$(json "$out" '.ids|tostring')"
assert_eq "2 characters are no residues: 'J' at 3, '*' at 5" "$(json "$out" '.warnings[0]')"
run_ok tokenize "$TMP/esm" --text 'MKJ' --no-specials --unknown-as-x --json
assert_eq '[20,15,24]' "$(json "$out" '.ids|tostring')"
run_ok tokenize "$TMP/esm" --text '' --json
assert_eq '[0,2]' "$(json "$out" '.ids|tostring')"

# --- BPE ---------------------------------------------------------------------------------------
run_ok tokenize "$neox" --text 'Hello, world!' --json
assert_eq '[12092,13,1533,2]' "$(json "$out" '.ids|tostring')"
assert_eq '["Hello",","," world","!"]' "$(json "$out" '.texts|tostring')"
assert_eq 'Ġworld' "$(json "$out" '.tokens[2]')"
run_ok tokenize "$neox/tokenizer.json" --text '<|endoftext|>' --json
assert_eq '[0]' "$(json "$out" '.ids|tostring')"
run_ok tokenize "$neox" --text '<|endoftext|>' --no-specials --json
assert_eq 6 "$(json "$out" '.ids|length')"

printf 'two\nlines' >"$TMP/text"
run_ok tokenize "$neox" --text-file "$TMP/text" --json
assert_eq 'two
lines' "$(json "$out" .decoded)"
printf 'a\377b' >"$TMP/text"
run_ok tokenize "$neox" --text-file "$TMP/text"
assert_contains "$out" '! 1 byte is no UTF-8: at 1'
assert_contains "$out" '    66  a                  '"'a'"

run_ok tokenize "$neox" --text $'one\n\ttwo'
assert_contains "$out" "   187  Ċ                  '⏎'"
assert_contains "$out" '4 tokens'

# --- lines -------------------------------------------------------------------------------------
printf '{"text": "Hello world"}\n\n{"id": 3, "text": "na\\u00efve"}\n{"text": ""}' >"$TMP/lines"
run_ok tokenize "$neox" --jsonl "$TMP/lines"
assert_out_lines 3
assert_eq '[[12092,1533],[2072,30180],[]]' "$(jq -cs 'map(.ids)' <<<"$out")"
assert_eq '["Hello world","naïve",""]' "$(jq -cs 'map(.decoded)' <<<"$out")"
plain=$out
run_ok tokenize "$neox" --jsonl "$TMP/lines" --json
assert_eq "$plain" "$out" '--json changes nothing'
assert_eq "$plain" "$("$SEXTANT" tokenize "$neox" --jsonl - <"$TMP/lines")" 'from standard input'
# As it comes: the first answer is there before the second question.
{
    echo '{"text": "a"}'
    for ((i = 0; i < 200; i++)); do
        [[ -s $TMP/answer ]] && break
        sleep 0.05
    done
    [[ -s $TMP/answer ]] && echo '{"text": "b"}'
} | "$SEXTANT" tokenize "$neox" --jsonl - >"$TMP/answer"
assert_eq 2 "$(wc -l <"$TMP/answer")" 'answers'

# --- what is refused ---------------------------------------------------------------------------
printf '{"text": "a"}\n{"txt": "b"}\n' >"$TMP/lines"
run_fail 1 tokenize "$neox" --jsonl "$TMP/lines"
assert_contains "$err" 'lines: line 2: expected {"text": "…"}, found no text in the map'
assert_out_lines 1 'the lines before'
printf '[1]\n' >"$TMP/lines"
run_fail 1 tokenize "$neox" --jsonl "$TMP/lines"
assert_contains "$err" 'found a list'
printf '{"text": "a"\n' >"$TMP/lines"
run_fail 1 tokenize "$neox" --jsonl "$TMP/lines"
assert_contains "$err" 'lines: line 1: not JSON'

run_fail 2 tokenize "$neox"
run_fail 2 tokenize "$neox" --text a --jsonl b
assert_contains "$err" 'one of --text, --text-file and --jsonl'
run_fail 2 tokenize
run_fail 1 tokenize "$TMP/missing" --text a
assert_contains "$err" 'missing: No such file'
run_fail 1 tokenize "$TMP/empty" --text a
assert_contains "$err" 'no tokenizer.json and no vocab.txt'
sed 's/"NFC"/"NFKC"/' "$neox/tokenizer.json" >"$TMP/empty/tokenizer.json"
run_fail 1 tokenize "$TMP/empty" --text a
assert_contains "$err" 'normalizer is NFKC, expected NFC or none'
sed 's/"\\u0120 t",/"\\u0120 qqq",/' "$neox/tokenizer.json" >"$TMP/empty/tokenizer.json"
run_fail 1 tokenize "$TMP/empty" --text a
assert_contains "$err" "model.merges[1]: the vocabulary has no token 'qqq'"
