#!/usr/bin/env bash
# nterm on small transformers: where its proteins come from, what it prints, what it refuses. The
# numbers are held by the unit tests.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 neox; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
esm=$TMP/esm2 neox=$TMP/neox
examples=$SX_SOURCE/examples/esm2
cd "$TMP" || fail 'no folder'

# --- the example: every class, every presentation
run_ok nterm $esm --swissprot "$examples/nterm.dat" --crop 60 --json
assert_json "$out"
assert_eq 'chain excision fragment met propep sequence signal transit' \
    "$(json "$out" '[.rows[].class] | unique | join(" ")')"
assert_eq 39 "$(json "$out" .read.records)"
assert_eq '["mature-first","mature-inserted","precursor-first","precursor-inside","mature-prepended"]' \
    "$(json "$out" '.rows[] | select(.id == "CSF3_HUMAN") | keys_unsorted[6:] | tojson')"
assert_eq 'A 178 29 true' \
    "$(json "$out" '.rows[] | select(.id == "CSF3_HUMAN") | "\(.first) \(.length) \(.offset) \(.inferred)"')"
assert_eq 'chain Y 76' "$(json "$out" '.rows[] | select(.id == "COLI_HUMAN/77") | "\(.class) \(.first) \(.offset)"')"
assert_eq 'null' "$(json "$out" '.rows[] | select(.id == "GAC_YEAST") | .["precursor-inside"]')"
# The summary counts what the rows say.
assert_eq "$(json "$out" '[.rows[] | select(.first != "M" and .["mature-first"].top == "M")] | length')" \
    "$(json "$out" '.summary.not_met["mature-first"].says_met')"
assert_eq "$(json "$out" '[.rows[] | select(.first != "M" and .["precursor-inside"])] | length')" \
    "$(json "$out" '.summary.not_met.mcnemar.pairs')"
assert_eq "$(json "$out" '[.rows[] | select(.class == "signal")] | length')" \
    "$(json "$out" '.summary.by_class.signal.n')"

# Packed, from standard input, and as CSV and text.
gzip -c "$examples/nterm.dat" >packed.dat.gz
all=$(json "$out" '.rows | tojson')
run_ok nterm $esm --swissprot packed.dat.gz --crop 60 --json
assert_eq "$all" "$(json "$out" '.rows | tojson')" 'the same from a packed file'
"$SEXTANT" nterm $esm --swissprot - --crop 60 --json <"$examples/nterm.dat" >piped || fail 'from a pipe'
assert_eq "$all" "$(json "$(cat piped)" '.rows | tojson')" 'the same from a pipe'
run_ok nterm $esm --swissprot "$examples/nterm.dat" --limit 2 --crop 60 --csv
assert_out_lines 3
assert_contains "$out" 'id,class,inferred,first,length,offset,mature-first.top,mature-first.p_met,'
run_ok nterm $esm --swissprot "$examples/nterm.dat" --limit 20 --crop 60
assert_contains "$out" 'AMIC_PSEAE           excision   G    384      1  '
assert_contains "$out" 'all that do not start with M: '
assert_contains "$out" 'McNemar p = '

# --- FASTA with and without truth, built-in examples, what is put in front
run_ok nterm $esm --fasta "$examples/globins.fa" --limit 3 --json
assert_eq 'sequence sequence sequence' "$(json "$out" '[.rows[].class] | join(" ")')"
printf '>a\nMKTVAAGGHH\n' >a.fa
printf 'id\tfirst\tclass\toffset\na\tV\tsignal\t3\n' >a.tsv
run_ok nterm $esm --fasta a.fa --truth a.tsv --min-length 1 --json
assert_eq 'signal V 7 3' "$(json "$out" '.rows[0] | "\(.class) \(.first) \(.length) \(.offset)"')"
run_ok nterm $esm --builtin --json
assert_eq 8 "$(json "$out" '.rows | length')"
assert_eq 'built in' "$(json "$out" .source)"
p_of() { json "$out" '.rows[0]["mature-prepended"].p_met'; }
alanines=$(p_of)
run_ok nterm $esm --builtin --prepend-random --seed 3 --json
random=$(p_of)
[[ $random != "$alanines" ]] || fail 'random residues change nothing'
run_ok nterm $esm --builtin --prepend-random --seed 3 --json
assert_eq "$random" "$(p_of)" 'the same seed'
run_ok nterm $esm --builtin --prepend 0 --json
assert_eq null "$(p_of)"

# --- what is refused
run_fail 2 nterm $esm
assert_contains "$err" 'give one of --swissprot FILE, --fasta FILE and --builtin'
run_fail 2 nterm $esm --builtin --fasta a.fa
run_fail 2 nterm $esm --swissprot "$examples/nterm.dat" --truth a.tsv
assert_contains "$err" '--truth is for --fasta'
run_fail 2 nterm $esm --builtin --crop 0
run_fail 1 nterm $neox --builtin
assert_contains "$err" 'nterm: works with ESM-2, and'
assert_contains "$err" 'is GPT-NeoX'
run_fail 1 nterm $esm --swissprot a.fa
assert_contains "$err" "a.fa: line 1: expected an entry of Swiss-Prot, 'ID   NAME … AA.', found '>a'"
run_fail 1 nterm $esm --fasta "$examples/nterm.dat"
assert_contains "$err" "expected '>' and a name"
run_fail 1 nterm $esm --swissprot none.dat
assert_contains "$err" 'none.dat: No such file'
head -c 5000 "$examples/nterm.dat" >cut.dat
run_fail 1 nterm $esm --swissprot cut.dat
assert_contains "$err" "cut.dat: AMIC_PSEAE is cut off"
printf 'ID   A_B Reviewed; 4 AA.\nFT   SIGNAL 1 ?\nSQ   SEQUENCE 4 AA;\n     MKTV\n//\n' >unknown.dat
run_fail 1 nterm $esm --swissprot unknown.dat
assert_contains "$err" 'no protein with a known first residue: of 1, 1 have no known start'
printf 'a\tK\tsignal\t3\n' >wrong.tsv
run_fail 1 nterm $esm --fasta a.fa --truth wrong.tsv
assert_contains "$err" "wrong.tsv: line 1: expected K behind 3 residues of a, found 'V'"

# --- the screen: the workspace's first file of proteins, or what the command names
run_ok view nterm $esm "$examples" --size 120x40
assert_contains "$out" 'MYG_ESCGI'
run_ok view nterm $esm "$examples" --do "nterm-table $examples/nterm.dat --limit 5" --size 120x40
assert_contains "$out" 'AMIC_PSEAE'
run_ok view nterm $esm "$examples" --do 'nterm-table --builtin' --size 120x40
assert_contains "$out" 'ubiquitin'
run_ok view workspace $esm "$examples" --json
assert_eq 'proteins proteins' "$(json "$out" '[.rows[].kind | select(. == "proteins")] | join(" ")')"
