#!/usr/bin/env bash
# Keys without sense, at sizes without sense: nothing may crash, hang or leak. The sequence is the
# same each time; SX_MONKEY=SEED KEYS tries another.
. "$(dirname "$0")/../support/script.sh"

read -r seed keys <<<"${SX_MONKEY:-7 1500}"
RANDOM=$seed
all=(j k h l g G n N o O f m x M s v w r a c e t i L y Y '*' ']' '[' 0 1 2 3 5 9 '<Space>'
    '<Enter>' '<Esc>' '<Tab>' '<S-Tab>' '<Up>' '<Down>' '<Left>' '<Right>' '<PgUp>' '<PgDn>'
    '<Home>' '<End>' '<C-d>' '<C-u>' '<C-l>' '<C-c>' '<Backspace>' '<F1>' '<F2>' '<F3>' '<F4>'
    '<F5>' '<F6>' '<F7>' '<F8>' '<F9>' '<M-1>' '/a<Enter>' '/<Esc>' '/zzz<Enter>' ':<Esc>'
    ':vi<Tab><Tab><Esc>' ':set --tau .3<Enter>' ':set --alive .5<Enter>' ':set --alive -1<Enter>'
    ':filter sim<lt>.9<Enter>' ':filter<Enter>' ':select --family 3<Enter>' ':nonsense<Enter>'
    ':theme light<Enter>' ':rescan<Enter>' ':match-family<Enter>' '?' ':7<Enter>')
sizes=(80x24 120x40 30x8 29x7 20x5 1x1 2x50 300x9 80x24 200x60)

{
    echo "size 80x24"
    echo ":open sae"
    for ((i = 0; i < keys; i++)); do
        echo "keys ${all[RANDOM % ${#all[@]}]}"
        case $((RANDOM % 40)) in
        0) echo "size ${sizes[RANDOM % ${#sizes[@]}]}" ;;
        1) echo "click $((RANDOM % 90)) $((RANDOM % 30))" ;;
        2) echo "wheel down $((RANDOM % 90)) $((RANDOM % 30))" ;;
        3) echo "wait" ;;
        esac
    done
    echo "wait"
} >"$TMP/script"

cd "$SX_SOURCE/tests/fixtures" || fail 'no fixtures'
run play "$TMP/script"
[[ $status == 0 ]] || fail "SX_MONKEY='$seed $keys' ends with $status: $err"
