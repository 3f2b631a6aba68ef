#!/usr/bin/env bash
# How a workspace of 24 SAEs of 512 -> 16,384 (1.6 GB of random weights) opens:
#     tests/bench/large_workspace.sh BUILD [FOLDER]
# FOLDER is kept when it is named. Prints seconds to the first screen, resident memory, and bytes a
# key; fails when a budget is broken (0.3 s, 200 MB, 400 bytes, nothing when idle).
set -euo pipefail
build=${1:?BUILD, e.g. build/release}
folder=${2:-}
if [ -z "$folder" ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
[ -e "$folder/trainer_0" ] || "$build/tests/make_topk_workspace" "$folder"
export TERM=xterm-256color LC_ALL=C.UTF-8
bad=0

budget() { # NAME VALUE LIMIT
    echo "$1: $2 (budget $3)"
    awk -v v="$2" -v l="$3" 'BEGIN {exit !(v > l)}' && bad=1
    return 0
}

# The time of a whole run that prints the screen: start, scan, draw and end.
best=9
for _ in 1 2 3 4 5; do
    start=$(date +%s.%N)
    "$build/sextant" view workspace "$folder" >/dev/null
    best=$(awk -v s="$start" -v e="$(date +%s.%N)" -v b="$best" 'BEGIN {t = e - s; printf "%.3f", t < b ? t : b}')
done
budget 'seconds to the first screen' "$best" 0.3

report=$("$build/tests/pty_bytes" 80x24 pythia jjjkkk 2 "$build/sextant" "$folder")
budget 'bytes a key' "$(awk '$1 == "key" && $3 > m {m = $3} END {print m}' <<<"$report")" 400
budget 'bytes while idle' "$(awk '$1 == "idle" {print $2}' <<<"$report")" 0
budget 'resident MB' "$(awk '$1 == "resident" {print $2 / 1024}' <<<"$report")" 200
exit $bad
