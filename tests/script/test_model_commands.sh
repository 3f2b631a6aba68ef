#!/usr/bin/env bash
# run, predict, score, contacts, generate and selfcheck on small transformers: what they promise to
# print, and what they refuse. The numbers are held by the unit tests.
. "$(dirname "$0")/../support/script.sh"

make=$SX_BUILD/tests/make_tiny_model
for kind in esm2 esm2-bare neox neox-text; do
    "$make" $kind "$TMP/$kind" || fail "no model $kind"
done
esm=$TMP/esm2 bare=$TMP/esm2-bare neox=$TMP/neox text=$TMP/neox-text
cd "$TMP" || fail 'no folder'

near() { # NUMBER NUMBER TOLERANCE WHAT
    awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && d >= -t) }' ||
        fail "$4: $1, expected $2"
}

# --- run: the known outputs of the model whose weights follow from a formula
run_ok run $esm --ids 0,32,15,11,7,19,2 --capture all --out a.run.h5 --json
assert_eq '16 27 11 16 16 16 17' "$(json "$out" '.sequences[0].argmax | join(" ")')"
assert_eq '7 33' "$(json "$out" '.sequences[0].captured.logits | join(" ")')"
assert_eq '2 2 7 7' "$(json "$out" '.sequences[0].captured.attn | join(" ")')"
assert_eq '2 7 2 8' "$(json "$out" '.sequences[0].captured.q | join(" ")')"
assert_eq '2 7 2 16' "$(json "$out" '.sequences[0].captured.head_out | join(" ")')"
assert_eq '2 7 16' "$(json "$out" '.sequences[0].captured["resid.post"] | join(" ")')"
assert_eq '2 7' "$(json "$out" '.sequences[0].captured["attn.ln.sigma"] | join(" ")')"
assert_eq 1 "$(json "$out" '.sequences[0].masks | join(" ")')"
near "$(json "$out" '.sequences[0].embed_scale')" 1.0266667 1e-6 'embed_scale'
assert_file a.run.h5
run_ok run $esm --seq '<mask>KTV' --json
assert_eq '0 32 15 11 7 2' "$(json "$out" '.sequences[0].ids | join(" ")')"
run_ok run $esm --seq KTV
assert_contains "$out" 'nothing was written'

# A part, several sequences, and both kinds of file.
run_ok run $esm --seq KTV --seq MKTVR --capture q,attn --layers 1 --heads 0 --tokens 0,last --keys 0 --out b.npz --json
assert_eq '1 2 1 8' "$(json "$out" '.sequences[1].captured.q | join(" ")')"
assert_eq '1 1 2 1' "$(json "$out" '.sequences[1].captured.attn | join(" ")')"
assert_file b.npz
printf '0 5 6\n\n7,8,9,10\n' >ids.txt
run_ok run $neox --ids-file ids.txt --capture resid.pre --out c.run.h5 --json
assert_eq 2 "$(json "$out" '.sequences | length')"
printf '>one\nMKT\n>two words\nMKTVJ\n>none\n' >f.fasta
run_ok run $esm --fasta f.fasta --json
assert_eq 'one two' "$(json "$out" '[.sequences[].name] | join(" ")')"
assert_contains "$(json "$out" '.warnings | join(" ")')" "'J'"
assert_contains "$(json "$out" '.warnings | join(" ")')" 'none: no residues'

# Interventions: patching a run with itself changes nothing; zeroing a head does.
mean() { json "$out" '.sequences[0].mean_logprob'; }
run_ok run $esm --ids 0,32,15,11,7,19,2 --json
plain=$(mean)
run_ok run $esm --ids 0,32,15,11,7,19,2 --capture resid.pre --out self.npz
run_ok run $esm --ids 0,32,15,11,7,19,2 --intervene resid.pre=patch:self.npz --json
assert_eq "$plain" "$(mean)" 'patched with itself'
run_ok run $esm --ids 0,32,15,11,7,19,2 --intervene q@layers=1=patch:a.run.h5 --json
near "$(mean)" "$plain" 1e-5 'queries patched with themselves'
assert_eq 'q@layers=1=patch:a.run.h5' "$(json "$out" '.interventions[0]')"
run_ok run $esm --ids 0,32,15,11,7,19,2 --intervene ctx@layers=0,heads=1=zero --json
[[ $(mean) != "$plain" ]] || fail 'zeroing a head changes nothing'
run_ok run $esm --ids 0,32,15,11,7,19,2 --positions 5,6,7,8,9,10,11 --json
near "$(mean)" "$plain" 1e-4 'positions moved together'
run_ok run $esm --ids 0,32,15,11,7,19,2 --intervene positions@side=query=shift:5 --json
[[ $(mean) != "$plain" ]] || fail 'turning the queries alone changes nothing'
run_ok run $esm --ids 0,32,15,11,7,19,2 --embed-scale 0.88 --rope-exact --no-pad-mask --json
near "$(json "$out" '.sequences[0].embed_scale')" 0.88 1e-6 'forced embed_scale'

# What run refuses.
run_fail 1 run $esm --seq KTV --out a.run.h5
assert_contains "$err" 'already there'
run_ok run $esm --seq KTV --out a.run.h5 --force
run_fail 2 run $esm --seq KTV --out a.csv
run_fail 2 run $esm --seq KTV --capture nonsense
run_fail 2 run $neox --ids 1,2 --capture head.gelu
run_fail 2 run $esm --seq KTV --layers 2
assert_contains "$err" 'there are 2'
run_fail 2 run $esm --seq KTV --intervene ctx@layers=0,rows=1=zero
assert_contains "$err" 'column 14'
run_fail 1 run $esm --seq KTV --positions 1,2
run_fail 2 run $esm
run_fail 2 run $esm --seq ''
run_fail 2 run $esm --prompt hello
assert_contains "$err" 'give --seq'
run_fail 2 run $neox --seq KTV
run_fail 1 run $neox --prompt hello
assert_contains "$err" 'tokenizer.json'
run_fail 2 run $neox --ids 1,40
assert_contains "$err" '0 to 39'
run_fail 2 run $esm --ids 32,32
run_fail 1 run $esm --seq "$(printf 'K%.0s' {1..3000})" --capture attn --max-memory 0.05
assert_contains "$err" 'choose --tokens'
run_fail 1 run "$TMP/no-model" --seq KTV
[[ ! -e a.csv ]] || fail 'a refused run left a file'

# --- predict
run_ok predict $esm --seq '<mask>KTVRQ<mask>' --json
assert_eq '1 7' "$(json "$out" '[.masks[].residue] | join(" ")')"
assert_eq '20 33' "$(json "$out" '.masks[0] | [(.p20 | length), (.p33 | length)] | join(" ")')"
near "$(json "$out" '[.masks[0].p20[]] | add')" 1 1e-9 'sum of p20'
near "$(json "$out" '[.masks[0].p33[]] | add')" 1 1e-9 'sum of p33'
assert_eq "$(json "$out" '.masks[0].p33 | to_entries | max_by(.value).key')" "$(json "$out" '.masks[0].argmax')"
[[ $(json "$out" '.masks[0].entropy > 0') == true ]] || fail 'no entropy'
run_ok predict $esm --ids 32,15,11 --json
assert_eq '0 1' "$(json "$out" '.masks[0] | [.pos, .residue] | join(" ")')"
run_ok predict $esm --seq 'M<mask>K' --seq '<mask>'
assert_contains "$out" residue
run_fail 2 predict $esm --seq MKT
assert_contains "$err" "--seq '<mask>"
run_fail 1 predict $neox --ids 1,2
run_fail 1 predict $bare --seq 'M<mask>'

# --- score
run_ok score $esm --fasta f.fasta --json
assert_eq '3 4' "$(json "$out" '[.sequences[].length] | join(" ")')" 'residues scored'
[[ $(json "$out" '.sequences[0].pseudo_perplexity > 1') == true ]] || fail 'no pseudo-perplexity'
run_ok score $esm --seq MKT --csv
assert_out_lines 2
run_ok score $esm --seq MKT --approx --json
assert_eq true "$(json "$out" .approximate)"
# A mutation is the difference of two masked predictions.
run_ok predict $esm --seq 'M<mask>T' --json
expected=$(json "$out" '.masks[0].p33 | (.A | log) - (.K | log)')
printf 'K2A\n# none\nM1A:T3S\n' >m.txt
run_ok score $esm --seq MKT --mutations m.txt --json
assert_eq 'K2A M1A:T3S' "$(json "$out" '[.mutations[].mutant] | join(" ")')"
near "$(json "$out" '.mutations[0].score')" "$expected" 1e-5 'K2A'
printf 'id,mutant,y\n1,K2A,0.5\n' >m.csv
run_ok score $esm --seq MKT --mutations m.csv --csv
assert_contains "$out" K2A
printf 'K2A\nA3G\n' >m.txt
run_fail 1 score $esm --seq MKT --mutations m.txt
assert_contains "$err" 'm.txt:2: A3G: residue 3 is T, not A'
run_ok score $text --text 'the cat and the hat' --json
near "$(json "$out" '.texts[0].perplexity')" "$(json "$out" '.texts[0].loss | exp')" 1e-6 perplexity
[[ $(json "$out" '.texts[0].bits_per_byte > 0') == true ]] || fail 'no bits per byte'
printf 'the cat' >t.txt
run_ok score $text --text-file t.txt
assert_contains "$out" perplexity
run_fail 2 score $text --text x --approx

# --- contacts
run_ok contacts $esm --seq MKTVRQERLK --out c.npz --json
assert_eq '10 10' "$(json "$out" '.contacts | [length, (.[0] | length)] | join(" ")')"
assert_eq true "$(json "$out" '.contacts[0][9] == .contacts[9][0]')" symmetric
assert_file c.npz
run_ok contacts $esm --seq MKTVRQERLK
assert_contains "$out" residue
run_fail 1 contacts $esm --seq MKT --out c.npz
run_fail 1 contacts $bare --seq MKT
assert_contains "$err" 'contact head'

# --- generate
run_ok generate $neox --ids 3,17,5 --greedy --max-new 4 --json
assert_eq 4 "$(json "$out" '.ids | length')"
assert_eq 4 "$(json "$out" '.logprobs | length')"
run_ok generate $text --prompt 'the cat' --max-new 20 --seed 3 --json
first=$(json "$out" '.ids | join(" ")')
assert_eq string "$(json "$out" '.text | type')"
run_ok generate $text --prompt 'the cat' --max-new 20 --seed 3 --json
assert_eq "$first" "$(json "$out" '.ids | join(" ")')" 'the same seed'
run_ok generate $text --prompt 'the cat' --max-new 20 --seed 4 --json
[[ $first != "$(json "$out" '.ids | join(" ")')" ]] || fail 'another seed gives the same'
printf 'the cat\na\n' >p.txt
run_ok generate $text --prompts-file p.txt --max-new 20 --seed 3 --top-k 40 --top-p 0.95 --temperature 0.9 --repetition-penalty 1.1 --json
assert_eq 2 "$(json "$out" '.generations | length')"
both=$(json "$out" '.generations[0].ids | join(" ")')
run_ok generate $text --prompt 'the cat' --max-new 20 --seed 3 --top-k 40 --top-p 0.95 --temperature 0.9 --repetition-penalty 1.1 --json
assert_eq "$both" "$(json "$out" '.ids | join(" ")')" 'in a batch as alone'
run_ok generate $text --prompt 'the cat' --greedy --max-new 6 --json
plain=$(json "$out" '.ids | join(" ")') stop=$(json "$out" '.ids[3]')
run_ok generate $text --prompt 'the cat' --greedy --max-new 6 --stop "$stop" --json
assert_eq true "$(json "$out" .stopped)"
run_ok generate $text --prompt 'the cat' --greedy --max-new 6 --intervene mlp_out=zero --json
[[ $plain != "$(json "$out" '.ids | join(" ")')" ]] || fail 'an intervention changes nothing'
run_ok generate $text --prompt 'the cat' --greedy --max-new 6
run_fail 1 generate $esm --ids 1,2
run_fail 2 generate $text --prompt x --greedy --top-k 3
run_fail 2 generate $text --prompt ''
run_fail 2 generate $text --prompt x --stop 'no single token'

# --- selfcheck
for model in $esm $bare $neox $text; do
    run_ok selfcheck $model --json
    assert_eq true "$(json "$out" .ok)"
    [[ $(json "$out" '.checks | length') -ge 11 ]] || fail 'few checks'
    assert_eq 'name ok residual tolerance' "$(json "$out" '.checks[0] | keys | join(" ")')"
done
run_ok selfcheck $esm
assert_contains "$out" 'attention rows sum to 1'
