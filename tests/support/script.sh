# Helpers for tests/script, tests/views and tests/terminal. Source it:
#     . "$(dirname "$0")/../support/script.sh"
#
# Environment from ctest: SEXTANT (the program), SX_SOURCE (source tree), SX_BUILD (build tree).
# $TMP is an empty folder that is removed at the end. The first failed assertion ends the script
# with status 1 and says file, line, what was expected and what was found.
#
#     run ARG…                 run sextant; sets $out, $err (texts) and $status
#     run_ok ARG…              the same, and the status must be 0
#     run_fail STATUS ARG…     the same, and the status must be STATUS and
#                              stderr one line that starts with "sextant: "
#     assert_eq A B [WHAT]     expected, found
#     assert_contains TEXT PART [WHAT]
#     assert_lacks TEXT PART [WHAT]
#     assert_out_lines N [WHAT]        lines of the last run's stdout, empty ones at the end too
#     assert_file PATH         exists and is not empty
#     assert_json TEXT         parses as JSON (needs jq)
#     json TEXT FILTER         prints jq -r FILTER of TEXT
#     fail MESSAGE

set -u -o pipefail
export LC_ALL=C.UTF-8 TZ=UTC TERM=xterm-256color
unset NO_COLOR COLORTERM LINES COLUMNS SEXTANT_DATA 2>/dev/null || true

: "${SX_SOURCE:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${SX_BUILD:=$SX_SOURCE/build/dev}"
: "${SEXTANT:=$SX_BUILD/sextant}"
export SX_SOURCE SX_BUILD SEXTANT

TMP=$(mktemp -d "${TMPDIR:-/tmp}/sextant-test.XXXXXX")
# No test reads or writes the user's own configuration.
export HOME=$TMP/home XDG_CONFIG_HOME=$TMP/home/config XDG_STATE_HOME=$TMP/home/state
export XDG_CACHE_HOME=$TMP/home/cache
mkdir -p "$HOME"
cleanup_hooks=()
on_exit() {
    local code=$? hook
    for hook in ${cleanup_hooks[@]+"${cleanup_hooks[@]}"}; do
        $hook || true
    done
    rm -rf "$TMP"
    exit $code
}
trap on_exit EXIT

fail() {
    local i=1
    # The caller outside this file.
    while [[ ${BASH_SOURCE[i]:-} == "${BASH_SOURCE[0]}" ]]; do i=$((i + 1)); done
    printf '%s:%s: %s\n' "${BASH_SOURCE[i]:-?}" "${BASH_LINENO[i - 1]:-?}" "$*" >&2
    exit 1
}

run() {
    status=0
    "$SEXTANT" "$@" >"$TMP/.out" 2>"$TMP/.err" </dev/null || status=$?
    # Command substitution drops NUL bytes with a warning; none are expected here.
    out=$(cat "$TMP/.out")
    err=$(cat "$TMP/.err")
}

run_ok() {
    run "$@"
    [[ $status == 0 ]] || fail "sextant $*: status $status, expected 0; stderr: $err"
}

run_fail() {
    local want=$1
    shift
    run "$@"
    [[ $status == "$want" ]] || fail "sextant $*: status $status, expected $want; stderr: $err"
    [[ $err == "sextant: "* ]] || fail "sextant $*: stderr does not start with 'sextant: ': $err"
    [[ $err != *$'\n'* ]] || fail "sextant $*: stderr is more than one line: $err"
}

assert_eq() {
    [[ $1 == "$2" ]] || fail "${3:-values differ}: expected '$1', found '$2'"
}

assert_contains() {
    [[ $1 == *"$2"* ]] || fail "${3:-text lacks a part}: no '$2' in '$1'"
}

assert_lacks() {
    [[ $1 != *"$2"* ]] || fail "${3:-text has a part it must not}: '$2' in '$1'"
}

assert_out_lines() {
    local n
    n=$(wc -l <"$TMP/.out")
    [[ $n == "$1" ]] || fail "${2:-line count}: expected $1 lines, found $n"
}

assert_file() {
    [[ -s $1 ]] || fail "no such file, or empty: $1"
}

assert_json() {
    printf '%s' "$1" | jq -e . >/dev/null 2>&1 || fail "not JSON: $1"
}

json() {
    printf '%s' "$1" | jq -r "$2"
}
