# A real terminal for tests/terminal: tmux with a socket and a configuration of its own. Source it
# after script.sh. Everything waits for what the pane shows, never for time.
#
#     tmux_start WxH           a pane with a plain shell; its prompt is "ready>"
#     tmux_type TEXT           type TEXT and Enter
#     tmux_keys KEY…           as tmux send-keys names them
#     tmux_screen              prints what the pane shows
#     tmux_wait TEXT           until the pane shows TEXT (20 s at most)
#     tmux_wait_gone TEXT      until it does not
#     tmux_resize WxH
#     tmux_flag NAME           a tmux format, e.g. alternate_on

# Sanitizers make everything slower; nothing here depends on how long it takes.
TMUX_PATIENCE=${TMUX_PATIENCE:-200} # tenths of a second
tmux_socket=$TMP/tmux

t() {
    tmux -S "$tmux_socket" -f /dev/null "$@"
}

tmux_stop() {
    t kill-server 2>/dev/null
}
cleanup_hooks+=(tmux_stop)

tmux_start() {
    local w=${1%x*} h=${1#*x}
    command -v tmux >/dev/null || fail "tmux is not installed (tests/run installs it)"
    t new-session -d -x "$w" -y "$h" "env PS1='ready> ' TERM=screen-256color bash --norc --noprofile" ||
        fail "tmux does not start"
    t set-option -g status off
    t set-option -g escape-time 0
    t resize-window -x "$w" -y "$h"
    tmux_wait 'ready>'
}

tmux_keys() {
    t send-keys "$@"
}

tmux_type() {
    t send-keys -l "$1"
    t send-keys Enter
}

tmux_screen() {
    t capture-pane -p
}

tmux_wait() {
    local i
    for ((i = 0; i < TMUX_PATIENCE; i++)); do
        [[ $(tmux_screen) == *"$1"* ]] && return
        sleep 0.1
    done
    fail "the terminal never showed '$1'; it shows: $(tmux_screen)"
}

tmux_wait_gone() {
    local i
    for ((i = 0; i < TMUX_PATIENCE; i++)); do
        [[ $(tmux_screen) != *"$1"* ]] && return
        sleep 0.1
    done
    fail "the terminal still shows '$1': $(tmux_screen)"
}

tmux_resize() {
    local i tty
    t resize-window -x "${1%x*}" -y "${1#*x}"
    # tmux tells the program a little later, and several changes as one.
    tty=$(tmux_flag pane_tty)
    for ((i = 0; i < TMUX_PATIENCE; i++)); do
        [[ $(stty size <"$tty") == "${1#*x} ${1%x*}" ]] && return
        sleep 0.1
    done
    fail "the terminal was never resized to $1"
}

tmux_flag() {
    t display-message -p "#{$1}"
}

# Wait until a file is there and not empty.
wait_file() {
    local i
    for ((i = 0; i < TMUX_PATIENCE; i++)); do
        [[ -s $1 ]] && return
        sleep 0.1
    done
    fail "$1 never appeared"
}
