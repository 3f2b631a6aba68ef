#!/usr/bin/env bash
# Runs opened later without the model: their screens give the numbers that the model's gave.
. "$(dirname "$0")/../support/script.sh"

numbers() { jq -S 'del(.seconds)' <<<"$1"; }

same_screens() { # MODEL OPTION TEXT
    run_ok run "$1" "$2" "$3" --capture attn,logits --out same.run.h5 --force
    for view in sequence attention; do
        run_ok view "$view" "$1" "$2" "$3" --token 2 --json
        local live=$out
        run_ok view "$view" same.run.h5 --token 2 --json
        assert_eq "$(numbers "$live")" "$(numbers "$out")" "$view of $1 and of its run"
        [[ $(json "$out" '.rows | length') -gt 3 ]] || fail "$view of the run has no rows"
    done
}

cd "$TMP" || fail 'no folder'
same_screens "$SX_SOURCE/examples/models/esm2-mini" --seq 'MKTV<mask>QERLK'
same_screens "$SX_SOURCE/examples/models/neox-mini" --prompt 'the old man looked at the sea'

# What was done to it stands in the title; several sequences are chosen by number.
printf '>first\nMKTVR\n>second\nACDEFGH\n' >two.fasta
"$SX_BUILD/tests/make_tiny_model" esm2 tiny >/dev/null || fail 'no model'
run_ok run tiny --fasta two.fasta --capture attn,logits --intervene 'ctx@layers=1,heads=0=zero' \
    --out two.run.h5
run_ok run tiny --seq MKTVR --capture q --out bare.run.h5
rm -r tiny
run_ok view sequence two.run.h5 --record 2 --size 120x24
assert_contains "$out" 'second · stored run 2 of 2 · ctx@layers=1,heads=0=zero' 'the title'
run_ok view sequence two.run.h5 --size 120x24 --keys ')'
assert_contains "$out" 'second · stored run 2 of 2' 'the next sequence'
run_ok view attention two.run.h5 --record 2 --token 8 --json
assert_eq 8 "$(json "$out" .query)"
run_fail 1 view sequence two.run.h5 --record 3
assert_contains "$err" 'the last one is 2'

# What a run cannot say, and why.
for view in lens contacts bands head circuit patching nterm; do
    run_fail 1 view "$view" two.run.h5
    assert_contains "$err" 'holds no weights; open the model' "$view of a stored run"
    run_ok view sequence two.run.h5 --do "view $view" --size 120x30
    assert_contains "$out" 'holds no weights' "the screen $view of a stored run"
done
run_fail 1 view sequence two.run.h5 --seq MKT
assert_contains "$err" 'open the model'
run_fail 1 view sequence two.run.h5 --do 'mask --token 2'
assert_contains "$err" 'holds no weights'
run_fail 1 view attention bare.run.h5
assert_contains "$err" 'bare.run.h5 holds no attn; run again with --capture attn'
run_fail 1 view sequence bare.run.h5
assert_contains "$err" 'bare.run.h5 holds no logits; run again with --capture logits'

# In a folder of them, Enter on a run opens it.
run_ok view workspace . --keys 'j<Enter>' --size 100x30
assert_contains "$out" 'stored run' 'Enter on a run'
assert_contains "$out" '▸ sequence' 'Enter on a run'
run_ok view sequence bare.run.h5 two.run.h5 --do 'select --model 1' --size 100x30
assert_contains "$out" 'first · stored run 1 of 2' 'the chosen run'

# Cut files and files of others.
head -c 3000 two.run.h5 >cut.run.h5
run_fail 1 view sequence cut.run.h5
assert_contains "$err" cut.run.h5
printf 'no HDF5\n' >foreign.run.h5
run_fail 1 view attention foreign.run.h5
assert_contains "$err" foreign.run.h5
