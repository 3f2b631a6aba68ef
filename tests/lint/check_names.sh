#!/usr/bin/env bash
# File names are unique among the sources, so that one name means one thing.
set -u
cd "$1" || exit 1
twice=$(find src views tests -name '*.c' -not -path '*/build/*' -printf '%f\n' | sort | uniq -d)
[ -z "$twice" ] || { echo "names used twice: $twice"; exit 1; }
