#!/usr/bin/env bash
# What goes over the wire: a slow SSH connection is the common case. A cursor move may cost 400
# bytes, a page 8 KB, and nothing is sent while nothing happens.
. "$(dirname "$0")/../support/script.sh"

pty=$SX_BUILD/tests/pty_bytes
make=$SX_BUILD/tests/make_topk_workspace
model=$SX_BUILD/tests/make_tiny_model
[[ -x $pty && -x $make && -x $model ]] || fail "$pty, $make or $model is not built"
"$make" "$TMP/grid" 32 512 >/dev/null || fail 'no workspace'

"$model" esm2 "$TMP/esm2" >/dev/null || fail 'no model'

"$SEXTANT" train "$SX_SOURCE/examples/mnist/quick.yaml" --out "$TMP/run" --set epochs=1 \
    >/dev/null 2>&1 || fail 'no training run'

# VIEW SIZE TEXT KEYS BUDGET FOLDER: TEXT shows that the view is there; each key may cost BUDGET
# bytes at once, and 8 KB more when the cursor has come to rest.
measure() {
    local report most rest first idle try
    for try in 1 2 3; do # a machine that stalls runs a key and the rest after it together
        report=$("$pty" "$2" "$3" "$4" 1 "$SEXTANT" --view "$1" "$6") || fail "pty_bytes failed"
        most=$(awk '$1 == "key" && $3 > m {m = $3} END {print m + 0}' <<<"$report")
        ((most > $5)) || break
    done
    first=$(awk '$1 == "first" {print $2}' <<<"$report")
    rest=$(awk '$1 == "key" && $4 > m {m = $4} END {print m + 0}' <<<"$report")
    idle=$(awk '$1 == "idle" {print $2}' <<<"$report")
    echo "$1 $2: first screen $first bytes, a key of \"$4\" at most $most, at rest $rest, idle $idle"
    ((most <= $5)) || fail "a key of $4 in $1 at $2 costs $most bytes, $5 are allowed"
    ((rest <= 8000)) || fail "rest after a key of $4 in $1 at $2 costs $rest bytes"
    # Results that come in while it opens are drawn as they come: more paints on a slow machine.
    ((first <= 48000)) || fail "the first screen of $1 costs $first bytes"
    assert_eq 0 "$idle" "bytes while nothing happens in $1"
}

for size in 80x24 120x40 200x50; do
    measure workspace "$size" pythia jk 400 "$TMP/grid"
    measure features "$size" ○○ jjk 400 "$TMP/run"
    measure training "$size" finished jj 400 "$TMP/run"
    measure weights "$size" median jj 400 "$TMP/run"
    measure seeds "$size" anchored jj 400 "$TMP/run"
done
for size in 80x24 200x50; do
    measure sequence "$size" pseudo lljjk 400 "$TMP/esm2"
    measure lens "$size" scale lljk 400 "$TMP/esm2"
    measure attention "$size" looks jlk 400 "$TMP/esm2"
    measure contacts "$size" touches jllk 400 "$TMP/esm2"
    measure bands "$size" scale jlkh 400 "$TMP/esm2"
    measure head "$size" scale jlkh 400 "$TMP/esm2"
done
# Another scale repaints a heatmap.
measure lens 200x50 scale vvv 12000 "$TMP/esm2"
measure contacts 200x50 touches vv 12000 "$TMP/esm2"
measure bands 200x50 scale wHP 12000 "$TMP/esm2"
measure head 200x50 scale cczz 12000 "$TMP/esm2"
measure features 200x50 ○○ G 8000 "$TMP/run"
measure help 80x24 Everywhere jjkk 400 "$TMP/grid"
