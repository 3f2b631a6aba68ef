#!/usr/bin/env bash
# The command line itself: help, version, wrong usage, exit statuses, no terminal.
. "$(dirname "$0")/../support/script.sh"

run_ok --version
[[ $out =~ ^sextant\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "version: $out"

# Help, of all and of each.
run_ok --help
all=$out
run_ok help
assert_eq "$all" "$out" 'help and --help'
commands=$(awk '/^  [a-z]/ {print $1}' <<<"${all%%Every command*}")
assert_contains "$commands" match
for command in $commands; do
    run_ok "$command" --help
    assert_contains "$out" "usage: sextant $command" "$command --help"
    assert_contains "$out" 'example: sextant' "$command --help"
    long=$out
    run_ok help "$command"
    assert_eq "$long" "$out" "help $command"
done

# Wrong usage is status 2 and one line.
run_fail 2
assert_contains "$err" 'sextant help'
run_fail 2 mach a b
assert_contains "$err" 'did you mean match?'
run_fail 2 qqqqqqq
assert_lacks "$err" 'did you mean'
run_fail 2 --nonsense
assert_contains "$err" '--nonsense'
run_fail 2 match --nonsense x y
assert_contains "$err" 'nonsense'
run_fail 2 match --tau 7 x y
assert_contains "$err" 'tau'
run_fail 2 match --tau
run_fail 2 info
run_fail 2 help nonsense
run_fail 2 --threads x info y
run_fail 2 --threads -3 info y
run_fail 2 --json --csv match x y
run_fail 2 convert --csv x y
run_fail 2 completion fish
run_fail 2 view nonsense
assert_contains "$err" 'workspace'
run_fail 2 view help --size 0x5
run_fail 2 view help --size 80
run_fail 2 view help --color pink
run_fail 2 view help --keys '<Nonsense>'

# What does not exist is status 1.
run_fail 1 no/such/folder
assert_contains "$err" 'no/such/folder: No such file or directory'
run_fail 1 info no/such/folder
run_fail 1 play no/such/script
assert_eq '' "$out" 'stdout of a failure'

# Control characters of a stranger's name do not reach the terminal.
run_fail 1 info $'no/such/\e[31mfile'
assert_lacks "$err" $'\e'

# A reader that goes away is no error.
"$SEXTANT" man 2>"$TMP/err" | head -n 1 >/dev/null
assert_eq '' "$(cat "$TMP/err")" 'stderr with a closed pipe'
# A full disk is.
if [[ -w /dev/full ]]; then
    status=0
    "$SEXTANT" man >/dev/full 2>"$TMP/err" || status=$?
    assert_eq 1 $status 'status with a full disk'
    assert_contains "$(cat "$TMP/err")" 'sextant: standard output'
fi

# --: what follows is a path, also when it looks like an option or a command.
mkdir "$TMP/match"
(cd "$TMP" && run_ok ./match && run_ok -- match)
