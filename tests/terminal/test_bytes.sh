#!/usr/bin/env bash
# What goes over the wire: a slow SSH connection is the common case. A cursor move may cost 400
# bytes, a page 8 KB, and nothing is sent while nothing happens.
. "$(dirname "$0")/../support/script.sh"

pty=$SX_BUILD/tests/pty_bytes
[[ -x $pty ]] || fail "$pty is not built"
mkdir "$TMP/runs"

# VIEW SIZE TEXT KEYS: the most that one of the keys cost is in $most, the idle bytes in $idle.
measure() {
    local report
    report=$("$pty" "$2" "$3" "$4" 2 "$SEXTANT" --view "$1" "${5:-$TMP/runs}") ||
        fail "pty_bytes failed"
    most=$(awk '$1 == "key" && $3 > m {m = $3} END {print m + 0}' <<<"$report")
    idle=$(awk '$1 == "idle" {print $2}' <<<"$report")
    first=$(awk '$1 == "first" {print $2}' <<<"$report")
    echo "$1 $2: first $first bytes, key at most $most, idle $idle"
}

measure help 80x24 Everywhere jjkk
((most <= 4000)) || fail "a line of text scrolled costs $most bytes"
assert_eq 0 "$idle" 'bytes while nothing happens'
((first <= 12000)) || fail "the first screen costs $first bytes"
