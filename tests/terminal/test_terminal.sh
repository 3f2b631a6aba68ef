#!/usr/bin/env bash
# The explorer on a real terminal: start, resize, suspend, quit, and what is left after a crash.
. "$(dirname "$0")/../support/script.sh"
. "$(dirname "$0")/../support/tmux.sh"

mkdir "$TMP/runs"
pid=$TMP/pid
ln -s "$SEXTANT" "$TMP/sextant"
modes=$TMP/modes
start="sh -c 'echo \$\$ > $pid; exec $TMP/sextant --view help $TMP/runs'"

tmux_start 80x24
tmux_type "stty -a > $modes.before; echo sav''ed"
tmux_wait saved

# Start: the alternate screen, the frame, the keys from the table.
tmux_type "clear; $start"
tmux_wait 'Everywhere'
assert_eq 1 "$(tmux_flag alternate_on)" 'alternate screen'
assert_contains "$(tmux_screen | head -n 1)" 'sextant' 'breadcrumb'
assert_contains "$(tmux_screen | tail -n 2 | head -n 1)" 'command' 'key bar'

# Moves, a count, search, Esc.
tmux_keys G
tmux_wait_gone 'Everywhere'
tmux_keys g
tmux_wait 'Everywhere'
tmux_keys 3
tmux_wait '3  then a move, or Enter for'
tmux_keys j
tmux_wait_gone 'then a move'
tmux_keys g
tmux_keys /
tmux_keys -l 'Everywhere'
tmux_keys Enter
tmux_wait 'Everywhere'

# The prompt: completion and a command that there is not.
tmux_keys :
tmux_keys -l 'view lo'
tmux_keys Tab Enter
tmux_wait 'seconds since the start'
tmux_keys :
tmux_keys -l 'nonsense'
tmux_keys Enter
tmux_wait 'nonsense'
tmux_keys Escape
tmux_wait 'Everywhere'

# Resize: smaller than anything can be shown in, and back, and as small as it gets.
tmux_resize 20x5
tmux_wait 'too small'
tmux_resize 100x30
tmux_wait 'Everywhere'
tmux_resize 2x2
tmux_wait_gone 'help'
tmux_resize 80x24
tmux_wait 'Everywhere'

# Suspend and come back.
tmux_keys C-z
tmux_wait 'Stopped'
assert_eq 0 "$(tmux_flag alternate_on)" 'alternate screen while stopped'
tmux_type "echo be''tween"
tmux_wait 'between'
tmux_type fg
tmux_wait 'Everywhere'
assert_eq 1 "$(tmux_flag alternate_on)" 'alternate screen after fg'

# Quit: the terminal is as it was.
tmux_keys -l ':quit'
tmux_keys Enter
tmux_wait 'ready>'
assert_eq 0 "$(tmux_flag alternate_on)" 'alternate screen after quit'
assert_eq 0 "$(tmux_flag mouse_any_flag)" 'mouse after quit'
tmux_type "clear; stty -a > $modes.after; echo sav''ed"
tmux_wait saved
assert_eq "$(cat "$modes.before")" "$(cat "$modes.after")" 'terminal modes after quit'

# A crash, and signals that end a program, leave a terminal that can be used.
for sig in SEGV ABRT TERM HUP; do
    rm -f "$pid" "$modes.after"
    tmux_type "clear; ulimit -c 0; $start; echo ended \$?"
    tmux_wait 'Everywhere'
    wait_file "$pid"
    kill -s "$sig" "$(cat "$pid")"
    tmux_wait 'ended '
    assert_lacks "$(tmux_screen)" 'ended 0' "status after SIG$sig"
    assert_eq 0 "$(tmux_flag alternate_on)" "alternate screen after SIG$sig"
    assert_eq 0 "$(tmux_flag mouse_any_flag)" "mouse after SIG$sig"
    assert_eq 1 "$(tmux_flag cursor_flag)" "cursor after SIG$sig"
    tmux_type "clear; stty -a > $modes.after; echo sav''ed"
    tmux_wait saved
    assert_eq "$(cat "$modes.before")" "$(cat "$modes.after")" "terminal modes after SIG$sig"
done
