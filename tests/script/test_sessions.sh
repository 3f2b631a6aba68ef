#!/usr/bin/env bash
# Whole sessions without a terminal: every *.session here, and the player itself.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures" || fail 'no fixtures'
for session in "$SX_SOURCE"/tests/script/*.session; do
    run_ok play --dry-run "$session"
    run_ok play "$session"
    assert_eq '' "$out$err" "output of $session"
done

# A script that expects something else fails, and says where.
play() { # LINE…
    printf '%s\n' "$@" >"$TMP/script"
    run play "$TMP/script"
}
play ':view help' 'expect-view jobs'
assert_eq 1 "$status" 'a wrong expectation'
assert_contains "$err" "$TMP/script:2: the view is help, expected jobs"
play 'expect-text never there'
assert_eq 1 "$status"
play ':nonsense'
assert_contains "$err" "$TMP/script:1:"
[[ $status != 0 ]] || fail 'an unknown command passes'
play ':open no/such/folder'
[[ $status != 0 ]] || fail 'a job that failed passes'
assert_contains "$err" 'no/such/folder'
play 'try :open no/such/folder' 'expect-message no/such/folder'
assert_eq 0 "$status" 'try'
play 'key Nonsense'
assert_eq 2 "$status"
play 'dance'
assert_eq 2 "$status"
play 'size 5'
assert_eq 2 "$status"
play 'key'
assert_eq 2 "$status"
# --dry-run does nothing but finds the same mistakes.
printf ':view help\nsave-screen should-not-be-there\nkey Nonsense\n' >"$TMP/script"
run_fail 2 play --dry-run "$TMP/script"
assert_contains "$err" "$TMP/script:3:"
[[ ! -e $TMP/should-not-be-there ]] || fail '--dry-run wrote a file'

# Screens: saved, compared, printed; from standard input.
printf ':view help\nsize 60x12\nsave-screen saved\n' >"$TMP/script"
run_ok play "$TMP/script"
assert_contains "$(cat "$TMP/saved")" Everywhere
printf ':view help\nsize 60x12\nexpect-screen golden\nexpect-styles styles\n' >"$TMP/script"
run_fail 1 play "$TMP/script"
UPDATE_GOLDEN=1 run_ok play "$TMP/script"
run_ok play "$TMP/script"
assert_contains "$(cat "$TMP/styles")" '{title:Everywhere}'
sed -i '3s/Everywhere/Elsewhere /' "$TMP/golden"
run_fail 1 play "$TMP/script"
assert_contains "$err" "golden:3 differs"
printf 'size 40x9\n:view help\nprint-screen\n' >"$TMP/script"
"$SEXTANT" play - <"$TMP/script" >"$TMP/.out" || fail 'a script from standard input'
assert_contains "$(cat "$TMP/.out")" Everywhere
assert_out_lines 9

# :save writes a file, and never over another.
cd "$TMP" || fail cd
play ':view help' ":save screen.txt"
assert_eq 0 "$status"
assert_contains "$(cat screen.txt)" Everywhere
play ':view help' ":save screen.txt"
assert_contains "$err" 'exists'

# :export writes rows as CSV and the matching as a file that others can read.
ln -s "$SX_SOURCE/tests/fixtures/sae" fixtures
play ":open fixtures/sparsify_seed0 fixtures/sparsify_seed1" ':select --family 0' ':view features' \
    ':match-family' ':export rows.csv' ':export all.match.h5'
assert_eq '' "$err" 'exporting'
assert_eq 25 "$(wc -l <rows.csv)" 'a line for each latent and the heads'
assert_file all.match.h5
