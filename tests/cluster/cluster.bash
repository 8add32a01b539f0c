# shellcheck shell=bash
# What the tests with real processes share; load it behind ../helpers.
#
# A test file is run on drawn digits always and, where DROVER_DATA is set, on MNIST as well: its
# setup_file calls make_data, and tests take the folder from data_of digits or data_of mnist.

python=/usr/bin/python3 # Debian's, which has the modules; another one may be first on PATH

# Most look at no pictures, and to draw them takes longer than a short training. Who does look at
# them calls draw_pictures.
undrawn=$DROVER_SOURCE_DIR/tests/cluster/undrawn
case $PATH in
"$undrawn":*) ;;
*) PATH=$undrawn:$PATH ;;
esac

draw_pictures() {
    PATH=${PATH#"$undrawn:"}
}

# make_data [ROWS]: small sets in $BATS_FILE_TMPDIR: digits and, with DROVER_DATA, mnist, the first
# ROWS rows of it.
make_data() {
    local rows=${1:-6000}
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows "$rows" --test-rows 300 --seed 3
    [ -n "${DROVER_DATA:-}" ] && [ "$DROVER_SLOWNESS" -eq 1 ] || return 0
    mkdir "$BATS_FILE_TMPDIR/mnist"
    local set kind
    for set in train:"$rows" t10k:300; do
        for kind in images-idx3:16:784 labels-idx1:8:1; do
            first_rows "${set%:*}-${kind%%:*}-ubyte" "${set#*:}" "${kind#*:}"
        done
    done
}

# first_rows FILE ROWS HEADER:ROW: the first rows of an IDX file of DROVER_DATA with such sizes.
first_rows() {
    local from=$DROVER_DATA/$1 to=$BATS_FILE_TMPDIR/mnist/$1 rows=$2 head=${3%:*} row=${3#*:}
    [ -e "$from" ] || from=$from.gz
    {
        zcat -f "$from" | head -c 4
        # shellcheck disable=SC2059
        printf "$(printf '\\x%02x' $((rows >> 24)) $((rows >> 16 & 255)) $((rows >> 8 & 255)) $((rows & 255)))"
        zcat -f "$from" | head -c $((head + rows * row)) | tail -c +9
    } >"$to"
}

# train_each SUFFIX [OPTION...]: trains on each of make_data's sets, for setup_file; the outputs are
# $BATS_FILE_TMPDIR/digits.SUFFIX and, maybe, mnist.SUFFIX.
train_each() {
    local name
    for name in digits mnist; do
        [ ! -e "$BATS_FILE_TMPDIR/$name" ] ||
            "$DROVER" train --data "$BATS_FILE_TMPDIR/$name" --output "$BATS_FILE_TMPDIR/$name.$1" \
                "${@:2}" || return
    done
}

# data_of NAME: puts its folder into $data; skips the test when it is MNIST and that is not there, or
# the build is instrumented: the same code runs on the digits.
data_of() {
    if [ "$1" = mnist ]; then
        [ "$DROVER_SLOWNESS" -eq 1 ] || skip "an instrumented build has run it on drawn digits"
        need_mnist
    fi
    data=$BATS_FILE_TMPDIR/$1
}

# Ends the test unless the last command's exit status in $status is the wanted one.
expect_status() {
    [ "$status" -eq "$1" ] || {
        echo "exit status $status, expected $1"
        return 1
    }
}

# start_server NAME ARGUMENT...: a server in the background; its endpoint in $endpoint.
start_server() {
    local name=$1
    shift
    start_background "$name" "$DROVER" server "$@"
    wait_for_line 20 "$name" ' server\.bound endpoint='
    endpoint=$(sed -n 's/.* server\.bound endpoint=//p' "$work/$name.log")
}

# start_relay NAME ABOVE ARGUMENT...: a relay in the background; its endpoint in $endpoint.
start_relay() {
    local name=$1 above=$2
    shift 2
    start_background "$name" "$DROVER" relay "$above" --name "$name" "$@"
    wait_for_line 20 "$name" ' relay\.bound endpoint='
    endpoint=$(sed -n 's/.* relay\.bound endpoint=//p' "$work/$name.log")
}

# start_worker NAME ARGUMENT...: a worker of $endpoint in the background.
start_worker() {
    local name=$1
    shift
    start_background "$name" "$DROVER" worker "$endpoint" --name "$name" "$@"
}

# socket_folder NAME: where the run in the background has its sockets.
socket_folder() {
    sed -n 's/.* server\.bound endpoint=ipc:\/\/\(.*\)\/control$/\1/p' "$work/$1.log"
}

# kill_child NAME REGEX: kills the process that drover train, in the background as NAME, has started
# with such a command line. One that was killed before may not be there again yet: fails.
kill_child() {
    pkill -KILL -P "${background[$1]}" -f "$2"
}

# four_ports: the first of four ports in a row that nobody uses, below those that the system gives out.
four_ports() {
    "$python" - <<'PYTHON'
import random, socket
while True:
    first = random.randrange(10000, 20000)
    sockets = [socket.socket() for _ in range(4)]
    try:
        for i, s in enumerate(sockets):
            s.bind(("", first + i))
    except OSError:
        continue
    print(first)
    break
PYTHON
}

# steps_done FOLDER N: the run in FOLDER has done N steps.
steps_done() {
    [ -e "$1/metrics.jsonl" ] && [ "$(wc -l <"$1/metrics.jsonl")" -ge "$2" ]
}

# metric FOLDER KEY: its value in each step, a line each.
metric() {
    grep learning_rate "$1/metrics.jsonl" | sed -E "s/.*\"$2\": ([^,}]*).*/\\1/" # not the evaluations
}

# same_run FOLDER FOLDER...: the runs have, byte for byte, the model and the histories of the first.
same_run() {
    local folder file
    for folder in "${@:2}"; do
        for file in model.safetensors cost_history/part-00000 accuracy_history/part-00000; do
            cmp "$1/$file" "$folder/$file" || return 1
        done
    done
}
