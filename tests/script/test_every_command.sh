#!/usr/bin/env bash
# Every command of the table has a help text and stands in a test.
. "$(dirname "$0")/../support/script.sh"

tests=$(cat "$SX_SOURCE"/tests/script/*.{sh,session} "$SX_SOURCE"/tests/views/*.sh \
    "$SX_SOURCE"/tests/terminal/*.sh 2>/dev/null)
table=$SX_SOURCE/src/run/command_table.c

names=$(sed -n 's/^        \.name = "\([a-z-]*\)",$/\1/p' "$table")
[[ $(wc -l <<<"$names") -gt 15 ]] || fail "the table could not be read"
for name in $names; do
    grep -qE "(run_ok|run|run_fail [0-9]|SEXTANT\"?) $name |:$name(\$|[^a-z-])|--do ['\"]$name" <<<"$tests" ||
        fail "no test uses the command $name"
done
helps=$(grep -c '^        \.help = "' "$table")
assert_eq "$(wc -l <<<"$names")" "$helps" 'commands and help texts'
