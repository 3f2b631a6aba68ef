#!/usr/bin/env bash
# Every third-party header has one home, and none is visible in a public header.
set -u
root=$1
bad=0

home() { # header, the one file that may include it (relative to the root)
    local found
    found=$(cd "$root" && grep -rlE "#include [<\"](openblas/|hdf5/serial/)?$1[>\"]" src views include --include='*.c' --include='*.h')
    for file in $found; do
        case " $2 " in
        *" $file "*) ;;
        *)
            echo "$file: $1 may be included by $2 only"
            bad=1
            ;;
        esac
    done
    [ -n "$found" ] || { echo "$1: not included anywhere, expected in $2"; bad=1; }
}

home cblas.h src/core/blas.c
home hdf5.h src/io/h5.c
home yaml.h src/io/yaml.c
home jansson.h src/io/json.c
home zlib.h src/io/gzip.c
home curses.h src/tui/term_curses.c
home utf8proc.h src/base/text.c
home xxhash.h src/base/hash.c
home uthash.h src/base/value.c
home pcre2.h src/run/search.c
exit $bad
