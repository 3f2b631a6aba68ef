#!/usr/bin/env bash
# Files that are cut shorter while the explorer shows them, as training runs do that write theirs
# again: the screen stays, and what can no longer be read is named.
. "$(dirname "$0")/../support/script.sh"
. "$(dirname "$0")/../support/tmux.sh"

"$SX_BUILD/tests/make_topk_workspace" "$TMP/ws" 64 512 >/dev/null || fail 'no workspace'
ln -s "$SEXTANT" "$TMP/sextant"
tmux_start 100x30
tmux_type "clear; $TMP/sextant --view features $TMP/ws; echo ended \$?"
tmux_wait 'latent 0000'
tmux_keys M
tmux_wait '≈'
for file in "$TMP"/ws/*/ae.pt; do : >"$file"; done
# Cards, other latents, the whole family again.
tmux_keys j j j G k Enter
tmux_wait 'latent 051'
tmux_type ':match-family'
tmux_type ':view workspace'
tmux_wait 'families'
tmux_type ':rescan'
tmux_wait 'cannot be read'
tmux_type ':quit'
tmux_wait 'ended 0'
