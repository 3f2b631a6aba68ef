#!/usr/bin/env bash
# Long work is stopped by Ctrl-C, by a reader that goes away and by Esc, and keeps what it has.
. "$(dirname "$0")/../support/script.sh"

# The clone may lie under a path with spaces; this one has none.
ln -s "$SX_SOURCE/examples" "$TMP/examples"
endless="$TMP/examples/mnist/quick.yaml --set epochs=100000 --set seeds=[0] --set log_every=1"
endless+=" --set mmcs_every=0 --set dict_size=64"

# Until FILE has a line.
wait_line() {
    local i
    for ((i = 0; i < 600; i++)); do
        [[ $(wc -l <"$1") -gt 0 ]] && return
        sleep 0.1
    done
    fail "$1 stays empty"
}

# SIGINT ends a training with 130; the curve so far can be opened.
: >"$TMP/lines"
"$SEXTANT" train $endless --out "$TMP/run" --json >"$TMP/lines" 2>"$TMP/err" &
job=$!
wait_line "$TMP/lines"
kill -INT $job
status=0
wait $job || status=$?
assert_eq 130 $status 'status after SIGINT'
assert_eq '' "$(cat "$TMP/err")" 'stderr after SIGINT'
run_ok view training "$TMP/run" --json
while IFS= read -r line; do assert_json "$line"; done <"$TMP/lines"

# head closes the pipe: the training notices and stops without a word.
"$SEXTANT" train $endless --out "$TMP/run2" --json 2>"$TMP/err" | head -n 2 >"$TMP/lines"
assert_eq 2 "$(wc -l <"$TMP/lines")"
assert_eq '' "$(cat "$TMP/err")" 'stderr with a closed pipe'

# In the explorer Esc cancels before it goes back, and q asks.
cat >"$TMP/script" <<SESSION
:open $TMP/run
:view training
now :train $endless --out $TMP/run3
now key q
expect-view workspace
now :view training
now key q
now key q
expect-message train is running
now key j
now key Esc
expect-message cancelled
wait
expect-view workspace
:view jobs
expect-text cancelled
SESSION
run_ok play "$TMP/script"

# Leaving while work runs cancels it.
cat >"$TMP/script" <<SESSION
now :train $endless --out $TMP/run4
now key q
expect-message once more cancels it and quits
now key q
expect-quit
SESSION
run_ok play "$TMP/script"
