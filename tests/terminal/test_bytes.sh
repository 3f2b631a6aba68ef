#!/usr/bin/env bash
# What goes over the wire: a slow SSH connection is the common case. A cursor move may cost 400
# bytes, a page 8 KB, and nothing is sent while nothing happens.
. "$(dirname "$0")/../support/script.sh"

pty=$SX_BUILD/tests/pty_bytes
make=$SX_BUILD/tests/make_topk_workspace
[[ -x $pty && -x $make ]] || fail "$pty or $make is not built"
"$make" "$TMP/grid" 32 512 >/dev/null || fail 'no workspace'

# VIEW SIZE TEXT KEYS BUDGET: TEXT shows that the view is there; each key may cost BUDGET bytes.
measure() {
    local report most first idle
    report=$("$pty" "$2" "$3" "$4" 1 "$SEXTANT" --view "$1" "$TMP/grid") || fail "pty_bytes failed"
    first=$(awk '$1 == "first" {print $2}' <<<"$report")
    most=$(awk '$1 == "key" && $3 > m {m = $3} END {print m + 0}' <<<"$report")
    idle=$(awk '$1 == "idle" {print $2}' <<<"$report")
    echo "$1 $2: first screen $first bytes, a key of \"$4\" at most $most, idle $idle"
    ((most <= $5)) || fail "a key of $4 in $1 costs $most bytes, $5 are allowed"
    ((first <= 16000)) || fail "the first screen of $1 costs $first bytes"
    assert_eq 0 "$idle" "bytes while nothing happens in $1"
}

measure workspace 80x24 pythia jjkk 400
measure workspace 200x50 pythia jj 8000
measure features 80x24 badge jjjkk 400
measure features 200x50 badge G 8000
measure training 80x24 training j 400
measure help 80x24 Everywhere jjkk 1500
