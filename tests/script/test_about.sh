#!/usr/bin/env bash
# doctor, config, man, completion.
. "$(dirname "$0")/../support/script.sh"

# doctor: every check holds, and the document has what a bug report needs.
run_ok doctor
assert_contains "$out" 'ok     matrix product'
run_ok doctor --json
assert_eq 1 "$(json "$out" .schema)"
assert_eq true "$(json "$out" .ok)"
for key in version build blas blas_threads instruction_sets hdf5 terminal charset; do
    assert_lacks "$(json "$out" ".$key | tostring")" null "doctor: $key"
done
assert_eq 1 "$(json "$("$SEXTANT" --threads 1 doctor --json)" .blas_threads)" '--threads'

# config: defaults without a file.
config=$XDG_CONFIG_HOME/sextant/config.yaml
run_ok config --paths
assert_contains "$out" "$config (not there)"
run_ok config --check
run_ok config --show
assert_contains "$out" 'theme: default'

# A file is read; each mistake names its line, and the program goes on with the defaults.
mkdir -p "$(dirname "$config")"
cat >"$config" <<'YAML'
# mine
theme: mono
threads: 1
color: 256
keys:
  global:
    Q: ":quit"
YAML
run_ok config --check
assert_contains "$out" "$config: ok"
run_ok config --show
assert_contains "$out" 'theme: mono'
assert_contains "$out" 'threads: 1'
assert_eq 1 "$(json "$("$SEXTANT" doctor --json)" .blas_threads)" 'threads of the configuration'

broken() { # LINE TEXT CONTENT…: config --check names line LINE and TEXT
    local line=$1 text=$2
    shift 2
    printf '%s\n' "$@" >"$config"
    run_fail 2 config --check
    assert_contains "$err" "config.yaml:$line:" "line of: $*"
    assert_contains "$err" "$text"
    run_fail 2 config --show
    # Not a reason to refuse work.
    run help
    assert_eq 0 "$status" "help with a broken configuration: $*"
    assert_contains "$err" 'defaults hold'
}
broken 2 'unknown key them' 'mouse: true' 'them: dark'
broken 1 'threads' 'threads: many'
broken 1 'threads' 'threads: -1'
broken 3 'color' '' '' 'color: pink'
broken 1 'expected' '- a list'
printf 'theme: [\n' >"$config"
run config --check
[[ $status != 0 ]] || fail 'a file that is not YAML passes'
assert_contains "$err" config.yaml

check_fails() { # TEXT CONTENT…: parses, but what it names is not there
    local text=$1
    shift
    printf '%s\n' "$@" >"$config"
    run config --check
    [[ $status != 0 ]] || fail "passes: $*"
    assert_contains "$err" "$text"
}
check_fails 'no theme is called dark' 'theme: dark'
check_fails 'config.yaml:3' 'keys:' '  global:' '    Nonsense: down'
check_fails 'config.yaml:3' 'keys:' '  global:' '    j: nonsense'
rm "$config"

# A theme of the user's that is broken is found, too.
mkdir -p "$XDG_CONFIG_HOME/sextant/themes"
printf 'name: bad\nstyles:\n  nonsense: {}\n' >"$XDG_CONFIG_HOME/sextant/themes/bad.yaml"
run config --check
[[ $status != 0 ]] || fail 'a broken theme passes'
assert_contains "$err" 'bad.yaml'
rm -r "$XDG_CONFIG_HOME/sextant/themes"

# The manual names every command, key table and configuration key.
run_ok man
manual=$out
for command in $("$SEXTANT" help | awk '/^Every command/ {exit} /^  [a-z]/ {print $1}'); do
    grep -q "^\.B \"$command" <<<"$manual" || fail "the manual lacks $command"
done
for word in 'EXIT STATUS' NO_COLOR theme: 'page'; do
    assert_contains "$manual" "$word"
done

# Completion for bash is bash.
run_ok completion bash
printf '%s\n' "$out" >"$TMP/completion"
bash -n "$TMP/completion" || fail 'the completion is not bash'
replies=$(bash -c "compopt() { :; }; source '$TMP/completion'
    COMP_WORDS=(sextant ma) COMP_CWORD=1; _sextant; echo \"\${COMPREPLY[@]}\"
    COMP_WORDS=(sextant match --ta) COMP_CWORD=2; _sextant; echo \"\${COMPREPLY[@]}\"")
assert_eq $'match\n--tau' "$replies" 'completion'
