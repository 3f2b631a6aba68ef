#!/usr/bin/env bash
# Maps of noise, the worst there is to send: a full repaint at 200x50 may cost 12 KB, a cursor move
# 400 bytes.
. "$(dirname "$0")/../support/script.sh"

pty=$SX_BUILD/tests/pty_bytes
make=$SX_BUILD/tests/make_tiny_model
[[ -x $pty && -x $make ]] || fail "$pty or $make is not built"
"$make" esm2-noise "$TMP/noise" >/dev/null || fail 'no model'
cd "$TMP" || fail 'no folder'

# Files of one letter, since every key of a session is waited for: n residues that follow no rule.
sequence() {
    awk -v n="$1" 'BEGIN {s = 42; printf ">noise\n"
        for (i = 0; i < n; i++) {
            s = (s * 1103515245 + 12345) % 2147483648
            printf "%s", substr("LAGVSERTIDPKQNFYMHWC", int(s / 65536) % 20 + 1, 1)}; print ""}'
}
sequence 100 >a
sequence 300 >b
sequence 1000 >c

# VIEW TEXT FILE KEYS: what each redraw (C-l) and each move of the cursor costs.
measure() {
    local report most move
    report=$(env -u COLORTERM "$pty" 200x50 "$2" ":input --fasta $3"$'\r'"$4" 1 "$SEXTANT" \
        --color "$5" --view "$1" noise) || fail "pty_bytes failed"
    most=$(awk -v paint=$'\f' '$1 == "key" && $2 == paint && $3 > m {m = $3} END {print m + 0}' \
        <<<"$report")
    move=$(awk '$1 == "key" && $2 ~ /^[hjk]$/ {n++} $1 == "key" && n && $3 > m && $2 ~ /^[hjk]$/ {
        m = $3} END {print m + 0}' <<<"$report")
    echo "$1 of $3, $5: a repaint at most $most bytes, a move $move"
    ((most > 1000)) || fail "$1 of $3: nothing was repainted"
    ((most <= 12000)) || fail "a repaint of $1 of $3 with $5 costs $most bytes"
    ((move <= 400)) || fail "a move in $1 of $3 with $5 costs $move bytes"
}

for colours in 16 256; do
    measure attention looks b $'\r\f}\fz\fjhkv\fv\f' "$colours"
    measure attention looks c $'\r\fz\fz\fjk' "$colours"
    measure contacts touches b $'\fz\fjkv\f' "$colours"
    measure contacts touches c $'\fz\fjk' "$colours"
done
measure attention looks a $'\r\fz\fjhk' 256
measure lens scale c $'\fv\fv\fjk' 256
measure circuit residual a $'\fjhk' 256
measure patching strongest a $'\fjhk' 256
# Two tables with a cursor each.
measure bands residual a $'b\rvvv\fjjhkH\fjjhk' 256
