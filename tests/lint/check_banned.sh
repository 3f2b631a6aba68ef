#!/usr/bin/env bash
# Calls that do not belong: unsafe string functions anywhere, printing and exiting below the app,
# plain malloc outside base.
set -u
root=$1
cd "$root" || exit 1
bad=0

ban() { # pattern, why, folders…
    local pattern=$1 why=$2
    shift 2
    if grep -rnE "(^|[^a-zA-Z0-9_.>])($pattern)[[:space:]]*\(" "$@" --include='*.c' --include='*.h' |
        grep -vE '^[^:]*:[0-9]+:[[:space:]]*(\*|/\*|//)'; then
        echo "^ banned: $why"
        bad=1
    fi
}

below_app="src/core src/io src/sae src/model src/interp src/run src/tui views include"
ban 'strcpy|strcat|sprintf|vsprintf|gets|strtok|localtime|gmtime|ctime|asctime|atoi|atof|atol' \
    'unsafe or not re-entrant' src views include
ban 'exit|_exit|quick_exit' 'only src/app ends the program' src/base $below_app
ban 'abort' 'only SX_ASSERT and out-of-memory abort' $below_app
ban 'printf|puts|putchar|perror|vprintf' 'only src/app prints' src/base $below_app
ban 'malloc|calloc|realloc|free|strdup|strndup|asprintf|aligned_alloc' 'use sextant/base/alloc.h' \
    $below_app src/app

if grep -rnE 'hid_t|WINDOW \*|yaml_(node|event|parser)|json_t\b' include; then
    echo '^ a third-party type in a public header'
    bad=1
fi
exit $bad
