# shellcheck shell=bash
# What the bats files share. Load it with `load ../helpers`; it defines setup and teardown.
#
# Each test runs in its own empty folder $work (the current one). Processes started with
# start_background are ended, with what they started, when the test ends in whatever way. A file's own
# test_setup and test_teardown come behind that.
# Nothing waits for a fixed time: wait_for polls a condition until a deadline.

bats_require_minimum_version 1.5.0

: "${DROVER_SOURCE_DIR:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${DROVER:=$DROVER_SOURCE_DIR/build/release/cli/drover}"
: "${DROVER_SLOWNESS:=1}"

declare -gA background=() # name -> process id, also its process group

setup() {
    work=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/work.XXXXXX")
    cd "$work" || return 1
    if declare -F test_setup >/dev/null; then test_setup; fi
}

teardown() {
    local name
    for name in "${!background[@]}"; do
        # the process by itself, too: it may not have come to lead its group yet
        kill -KILL -- "${background[$name]}" 2>/dev/null || true
        kill -KILL -- "-${background[$name]}" 2>/dev/null || true
        wait "${background[$name]}" 2>/dev/null || true
        if [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -s "$work/$name.log" ]; then
            echo "--- $name.log"
            tail -n 40 "$work/$name.log"
        fi
    done
    if declare -F test_teardown >/dev/null; then test_teardown; fi
    cd / && rm -rf "$work"
}

# start_background NAME COMMAND...: output goes to $work/NAME.log, the process id to $pid. The
# process leads a group of its own and takes SIGINT, which the shell would have it ignore.
start_background() {
    local name=$1
    shift
    : >"$work/$name.log" # now: whoever looks for a line must not find one of before
    env --default-signal=INT,QUIT setsid "$@" >"$work/$name.log" 2>&1 </dev/null 3>&- &
    pid=$!
    background[$name]=$pid
}

# wait_for SECONDS COMMAND...: runs the command until it succeeds; fails at the deadline.
wait_for() {
    local seconds=$(($1 * DROVER_SLOWNESS)) deadline
    shift
    deadline=$((SECONDS + seconds + 1))
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            echo "not so within $seconds s: $*"
            return 1
        fi
        sleep 0.05
    done
}

# wait_for_line SECONDS NAME REGEX: a line of NAME's log matches, or NAME has ended without it.
wait_for_line() {
    wait_for "$1" line_or_end "$2" "$3" && grep -qE -- "$3" "$work/$2.log"
}

line_or_end() {
    grep -qE -- "$2" "$work/$1.log" || has_ended "$1"
}

has_ended() {
    ! kill -0 "${background[$1]}" 2>/dev/null
}

# wait_exit SECONDS NAME: waits for its end and puts its exit status into $status.
wait_exit() {
    wait_for "$1" has_ended "$2" || return 1
    status=0
    wait "${background[$2]}" || status=$?
}

# ends_well SECONDS NAME...: waits so long for the end of each, which must be with exit status 0.
ends_well() {
    local seconds=$1 name
    shift
    for name; do
        wait_exit "$seconds" "$name" || return 1
        [ "$status" -eq 0 ] || {
            echo "$name ended with exit status $status, expected 0"
            return 1
        }
    done
}

# signal NAME SIGNAL: sends it to the process alone, not to its group.
signal() {
    kill "-$2" "${background[$1]}"
}

# kill_now NAME: SIGKILL to the process alone; when this returns it has ended and holds no socket.
kill_now() {
    signal "$1" KILL
    wait_exit 20 "$1"
}

# group_gone NAME: no process of NAME's group is left.
group_gone() {
    ! kill -0 -- "-${background[$1]}" 2>/dev/null
}

# need_mnist: skips the test unless DROVER_DATA names the folder with MNIST.
need_mnist() {
    [ -n "${DROVER_DATA:-}" ] || skip "needs MNIST"
}

# make_venv NAME: what tests/python/NAME.txt lists, brought by pip below the build folder, once. For
# setup_file; the tests then call need_venv.
make_venv() {
    local list=$DROVER_SOURCE_DIR/tests/python/$1.txt venv=$DROVER_BINARY_DIR/venv-$1
    cmp -s "$list" "$venv/list.txt" && return
    rm -rf "$venv"
    if /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --timeout 10 --retries 1 \
        --requirement "$list"; then
        cp "$list" "$venv/list.txt"
    fi >"$BATS_FILE_TMPDIR/pip.log" 2>&1
}

# need_venv NAME: the folder of make_venv's programs in $venv_bin; skips the test when pip could not
# get them.
need_venv() {
    venv_bin=$DROVER_BINARY_DIR/venv-$1/bin
    [ -e "$DROVER_BINARY_DIR/venv-$1/list.txt" ] ||
        skip "pip could not install tests/python/$1.txt: $(tail -n 1 "$BATS_FILE_TMPDIR/pip.log")"
}

# stub NAME [SHELL TEXT]: a program in front of PATH that notes its call in $work/calls.
stub() {
    mkdir -p "$work/stubs"
    printf '#!/bin/bash\necho "%s $*" >>%q\n%s\n' "$1" "$work/calls" "${2:-}" >"$work/stubs/$1"
    chmod +x "$work/stubs/$1"
    case $PATH in
    "$work/stubs":*) ;;
    *) PATH=$work/stubs:$PATH ;;
    esac
}
