# shellcheck shell=bash
# What the scripts share; sourced, not run. Sets `repo` and `cores` and goes to no folder.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cores=$(nproc)

say() {
    printf '%s\n' "$*" >&2
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

usage_error() {
    printf '%s: %s\nTry %s --help\n' "$(basename "$0")" "$*" "$0" >&2
    exit 2
}

# Prints the comment block below the script's first line: its --help.
print_help() {
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"
}

# ensure_packages all|runtime: scripts/setup with or without the tests' packages, unless
# DROVER_SKIP_SETUP=1 says that the machine is set up in another way.
ensure_packages() {
    [ "${DROVER_SKIP_SETUP:-}" != 1 ] || return 0
    case $1 in
    all) "$repo/scripts/setup" --test ;;
    *) "$repo/scripts/setup" ;;
    esac
}

# configure PRESET [CMAKE ARGUMENT...]: quiet unless it fails.
configure() {
    local preset=$1 log
    shift
    log=$(cd "$repo" && cmake --preset "$preset" "$@" 2>&1) || {
        say "$log"
        return 1
    }
}

# build PRESET [TARGET...]: configures build/PRESET and builds the targets (all by default).
# Compilers' messages go to stderr, so that a script's stdout is its own.
build() {
    local preset=$1 targets=()
    shift
    [ $# -eq 0 ] || targets=(--target "$@")
    configure "$preset" &&
        cmake --build "$repo/build/$preset" --parallel "$cores" "${targets[@]}" >&2
}
