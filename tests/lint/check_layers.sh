#!/usr/bin/env bash
# The dependency graph is a file (layers.txt): every #include "sextant/…" must be an edge of it.
set -u
root=$1
bad=0

allowed() { # module, included path (module/file.h)
    local list
    list=$(sed -n "s/^$1:[[:space:]]*//p" "$root/tests/lint/layers.txt")
    [ "${2%%/*}" = "$1" ] && return 0
    for word in $list; do
        [ "$word" = "${2%%/*}" ] || [ "$word" = "$2" ] && return 0
    done
    return 1
}

check() { # module, folder…
    local module=$1
    shift
    while IFS=: read -r file line text; do
        [ -n "$file" ] || continue
        included=$(sed -n 's/.*#include "sextant\/\([^"]*\)".*/\1/p' <<<"$text")
        if ! allowed "$module" "$included"; then
            echo "$file:$line: $module may not include sextant/$included"
            bad=1
        fi
    done < <(grep -rnE '#include "sextant/' "$@" --include='*.c' --include='*.h' 2>/dev/null)
}

for module in base core io sae run tui app; do
    grep -q "^$module:" "$root/tests/lint/layers.txt" || { echo "layers.txt: no line for $module"; bad=1; }
    check "$module" "$root/src/$module" "$root/include/sextant/$module"
done
check views "$root/views" "$root/include/sextant/views"

for folder in "$root"/include/sextant/*/; do
    name=$(basename "$folder")
    grep -q "^$name:" "$root/tests/lint/layers.txt" || { echo "$folder: not in layers.txt"; bad=1; }
done
exit $bad
