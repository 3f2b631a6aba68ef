#!/usr/bin/env bash
# Printed screens: every view, at every size, in every form.
. "$(dirname "$0")/../support/script.sh"

cd "$SX_SOURCE/tests/fixtures" || fail 'no fixtures'
views="workspace features seeds weights gallery training inspector jobs log help"

for view in $views; do
    for size in 80x24 120x40 30x8 20x5 1x1 200x60; do
        run_ok view "$view" sae --size $size
        assert_out_lines "${size#*x}" "$view at $size"
        wide=$(wc -L <"$TMP/.out")
        ((wide <= ${size%x*})) || fail "$view at $size is $wide columns wide"
    done
    run_ok view "$view" sae --ascii --size 100x30
    LC_ALL=C grep -q '[^ -~]' <<<"$out" && fail "$view --ascii shows more than ASCII: $(LC_ALL=C grep '[^ -~]' <<<"$out" | head -n 3)"
    LC_ALL=C run_ok view "$view" sae --size 100x30
    LC_ALL=C grep -q '[^ -~]' <<<"$out" && fail "$view in the C locale shows more than ASCII"
    run_ok view "$view" sae --json
    assert_eq 1 "$(json "$out" .schema)" "$view --json"
    assert_eq array "$(json "$out" '.rows | type')" "$view --json"
    run_ok view "$view" sae --csv
    # Without anything opened a view says how to fill it.
    run_ok view "$view" --size 80x24
done

# Colours: the depth asked for and no more; none without asking; NO_COLOR counts for `auto` only.
run_ok view workspace sae
assert_lacks "$out" $'\e'
run_ok view workspace sae --color truecolor
assert_contains "$out" '38;2;'
run_ok view workspace sae --color 256
assert_contains "$out" '38;5;'
assert_lacks "$out" '38;2;'
run_ok view workspace sae --color 16
assert_contains "$out" $'\e['
assert_lacks "$out" '38;5;'
run_ok view workspace sae --svg
assert_contains "$out" '<svg'
assert_contains "$out" '</svg>'

# The explorer without a terminal prints its first screen.
run_ok sae
assert_contains "$out" sextant
assert_out_lines 24
assert_lacks "$out" $'\e'
run_ok --view inspector sae
assert_contains "$out" inspector

# Selections, lines and keys come before the printing.
run_ok view jobs sae --keys '<M-9>'
assert_contains "$out" ' log'
run_ok view workspace sae --do 'view help'
assert_contains "$out" Everywhere
run_fail 1 view workspace sae --family nonsense
run_fail 1 view workspace no/such/folder
run view workspace sae --do nonsense
[[ $status != 0 ]] || fail 'a line that is not there passes'
