#!/usr/bin/env bash
# The dependency graph is a file (layers.txt): every #include "sextant/…" must be an edge of it.
set -u
root=$1
bad=0

check() { # module, folder…
    local module=$1
    shift
    grep -rnE '#include "sextant/' "$@" --include='*.c' --include='*.h' 2>/dev/null |
        awk -v module="$module" '
            FILENAME != "-" { # layers.txt
                if (sub("^" module ":[ \t]*", "")) { known = 1; for (i = 1; i <= NF; i++) may[$i] = 1 }
                next
            }
            !known { exit }
            {
                included = $0
                sub(/.*#include "sextant\//, "", included)
                sub(/".*/, "", included)
                folder = included
                sub(/\/.*/, "", folder)
                if (folder != module && !(folder in may) && !(included in may)) {
                    sub(/[ \t]*#include.*/, "")
                    print $0 " " module " may not include sextant/" included
                    bad = 1
                }
            }
            END {
                if (!known) { print "layers.txt: no line for " module; bad = 1 }
                exit bad
            }' "$root/tests/lint/layers.txt" - || bad=1
}

for module in base core io sae model interp run tui app; do
    check "$module" "$root/src/$module" "$root/include/sextant/$module"
done
check views "$root/views" "$root/include/sextant/views"

for folder in "$root"/include/sextant/*/; do
    name=$(basename "$folder")
    grep -q "^$name:" "$root/tests/lint/layers.txt" || { echo "$folder: not in layers.txt"; bad=1; }
done
exit $bad
