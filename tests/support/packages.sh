# Sourced by examples/quickstart and tests/run: install_packages KIND… installs what is missing from
# tests/packages with apt, through sudo when not root.
install_packages() {
    local list missing=() kind name root=
    list=$(dirname "${BASH_SOURCE[0]}")/../packages
    while read -r kind name; do
        case " $* " in *" $kind "*) ;; *) continue ;; esac
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done < <(grep -v '^#' "$list")
    [ ${#missing[@]} -gt 0 ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "These packages are needed and apt-get is not here: ${missing[*]}" >&2
        return 1
    fi
    echo "Installing with apt: ${missing[*]}"
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get update -qq
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
