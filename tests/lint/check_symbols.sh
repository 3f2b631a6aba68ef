#!/usr/bin/env bash
# Every symbol that a module's library exports starts with sx_.
set -u
build=$2
bad=0
found=0
for lib in "$build"/libsx_*.a; do
    [ -e "$lib" ] || continue
    found=1
    # Sanitizers and compiler clones add their own names with a dot or two underscores.
    names=$(nm -g --defined-only "$lib" 2>/dev/null | awk 'NF==3 {print $3}' | grep -vE '^(sx_|__|_)|\.' | sort -u)
    if [ -n "$names" ]; then
        echo "$(basename "$lib"): $names"
        bad=1
    fi
done
[ $found = 1 ] || { echo "no libraries in $build"; bad=1; }
exit $bad
