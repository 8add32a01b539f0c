# Ctrl-C, kill and the like: what is left behind, of files and of processes.
load ../helpers
load cluster

# More steps than any machine does while the test looks on.
settings=(--set training.block_rows=240 --set training.steps=1000000 --set checkpoint.every_steps=7)

setup_file() { make_data 1500; }

test_setup() { data=$BATS_FILE_TMPDIR/digits; }

# all_gone NAME: no process and no socket folder of the run is left.
all_gone() {
    wait_for 10 group_gone "$1"
    [ -n "$folder" ]
    [ ! -e "$folder" ]
}

# histories_agree: as many lines in each file, and the checkpoint is of the last of them.
histories_agree() {
    local n
    n=$(wc -l <out/metrics.jsonl)
    [ "$n" -ge "$1" ]
    cmp <(metric out cost) out/cost_history/part-00000
    cmp <(metric out accuracy) out/accuracy_history/part-00000
    [ "$(tail -n 1 out/metrics.jsonl | sed -E 's/^\{"step": ([0-9]+),.*/\1/')" = "$n" ]
    [ "$(find out/checkpoint -name '*.safetensors' | sort | tail -n 1)" = \
        "$(printf 'out/checkpoint/step-%010d.safetensors' "$n")" ]
    "$DROVER" evaluate "$(printf 'out/checkpoint/step-%010d.safetensors' "$n")" "$data"
    [ ! -e out/model.safetensors ] # it is the finished run's
    [ -z "$(find out -name '*.partial*')" ]
}

# interrupted SIGNAL STATUS: the run ends in order.
interrupted() {
    start_background train "$DROVER" train --data "$data" --workers 3 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    signal train "$1"
    wait_exit 20 train
    expect_status "$2"
    all_gone train
    histories_agree 10
    grep -q '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$' train.log
}

@test "Ctrl-C in the middle of drover train" { interrupted INT 130; }
@test "SIGTERM in the middle of drover train" { interrupted TERM 143; }

@test "Ctrl-C of a terminal, which the whole group gets" {
    start_background train "$DROVER" train --data "$data" --workers 3 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    kill -INT -- "-${background[train]}"
    wait_exit 20 train
    expect_status 130
    all_gone train
    histories_agree 10
}

# As Slurm does it, or systemd: the server is told by the launcher and by its parent.
@test "SIGTERM for the whole group, twice" {
    start_background train "$DROVER" train --data "$data" --workers 3 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    kill -TERM -- "-${background[train]}"
    kill -TERM -- "-${background[train]}" || group_gone train # the first may have been enough
    wait_exit 20 train
    expect_status 143
    all_gone train
    histories_agree 10
}

@test "Ctrl-C before any worker has come" {
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control"
    wait_for_line 10 server ' server\.waiting for=workers there=0 needed=1 '
    signal server INT
    wait_exit 10 server
    expect_status 130
    grep -q '^interrupted before the first step was done$' server.log
    [ ! -s out/metrics.jsonl ]
    [ ! -e out/model.safetensors ]
    [ ! -e out/checkpoint ]
}

@test "Ctrl-C at once, wherever that is" {
    local delay
    for delay in 0 0.01 0.03 0.06; do
        rm -rf out
        start_background train "$DROVER" train --data "$data" --workers 2 --output out "${settings[@]}"
        wait_for 10 grep -qx drover "/proc/$pid/comm" # before, the shell has the signal ignored
        sleep "$delay" # not to wait for anything: to hit another place
        signal train INT
        wait_exit 20 train
        # before the signal is held: killed by it; behind that: ended in order
        [ "$status" -eq 130 ]
        wait_for 10 group_gone train
        folder=$(socket_folder train)
        [ -z "$folder" ] || [ ! -e "$folder" ]
    done
}

@test "a killed drover train takes its server and its workers along" {
    start_background train "$DROVER" train --data "$data" --workers 2 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    kill_now train
    wait_for 10 group_gone train
    rm -rf "$folder" # nobody was left to do it
}

@test "a killed server is started again, and Ctrl-C then ends the run as ever" {
    start_background train "$DROVER" train --data "$data" --workers 2 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    kill_child train 'drover server'
    wait_for_line 20 train ' run\.resumed folder=out step=[1-9]'
    wait_for 30 steps_done out 20
    signal train INT
    wait_exit 20 train
    expect_status 130
    all_gone train
    histories_agree 20
}

@test "a worker is told to leave, and the run goes on" {
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control" \
        --set server.min_workers=2
    start_worker one
    start_worker two
    wait_for 30 steps_done out 5
    signal one TERM
    ends_well 10 one
    wait_for_line 10 server ' worker\.left name=one workers=1'
    local n
    n=$(wc -l <out/metrics.jsonl)
    wait_for 10 steps_done out $((n + 5))
    signal two INT
    wait_exit 10 two
    expect_status 130
    signal server INT
    wait_exit 10 server
    expect_status 130
    histories_agree 10
}

@test "a worker that is told not to wait for ever ends when its server is gone" {
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control"
    start_worker one --patience 1
    wait_for 30 steps_done out 5
    kill_now server
    wait_exit 20 one
    expect_status 1
    grep -qxF "drover worker: ipc://$work/control: no word from the server for 1 s" one.log
    run -1 --separate-stderr "$DROVER" worker "ipc://$work/nobody" --patience 1 --log-level error
    [ "$stderr" = "drover worker: ipc://$work/nobody: no word from the server for 1 s" ]
}

# worker_can_join NAME ENDPOINT [SERVER ARGUMENT...]: a short training, its worker at ENDPOINT.
worker_can_join() {
    local name=$1 at=$2
    shift 2
    start_server "$name" --data "$data" --output "out-$name" --steps 3 "$@"
    "$DROVER" worker "${at/PORT/${endpoint##*:}}" --patience 10
    wait_exit 20 "$name"
    expect_status 0
}

@test "a server that is bound to a name or to all addresses says where its workers find it" {
    worker_can_join loopback "tcp://127.0.0.1:PORT" --bind 'tcp://lo:*'
    [[ $endpoint == tcp://127.0.0.1:* ]]
    run ! grep -F server.join loopback.log
    worker_can_join all "tcp://localhost:PORT" --bind 'tcp://*:*'
    [[ $endpoint == tcp://0.0.0.0:* ]]
    grep -qF " server.join command=\"drover worker tcp://$HOSTNAME:${endpoint##*:}\"" all.log
}

@test "server, relay and workers find each other over IPv6" {
    grep -q '^0*1 ' /proc/net/if_inet6 || skip "this machine has no ::1"
    worker_can_join one "tcp://[::1]:PORT" --bind 'tcp://[::1]:*'
    worker_can_join any "tcp://[::1]:PORT" --bind 'tcp://[::]:*'
    worker_can_join both "tcp://127.0.0.1:PORT" --bind 'tcp://[::]:*'
    start_server above --data "$data" --output out-above --steps 3 --bind 'tcp://[::1]:*'
    start_background relay "$DROVER" relay "$endpoint" --bind 'tcp://[::1]:*'
    wait_for_line 20 relay ' relay\.bound endpoint='
    "$DROVER" worker "$(sed -n 's/.* relay\.bound endpoint=//p' relay.log)" --patience 10
    wait_exit 20 above
    expect_status 0
    "$DROVER" train --data "$data" --output local --steps 3 --workers 1 \
        --set "server.bind=tcp://[::]:$(four_ports)"
}

# A name may appear later: it is waited for, but not without a word.
@test "a server whose host is not known is waited for, and named" {
    local endpoint=tcp://no.such.host.invalid:5570 role bind=()
    local why="the host 'no\.such\.host\.invalid' is not known: .+"
    for role in worker relay; do
        start_background "$role" "$DROVER" "$role" "$endpoint" "${bind[@]}"
        wait_for_line 30 "$role" "^[0-9:.]+ warn  $role\.waiting for=[a-z]+ endpoint=$endpoint: $why"
        run ! has_ended "$role"
        bind=(--bind "ipc://$work/relay")
    done
    run -1 --separate-stderr "$DROVER" worker "$endpoint" --patience 1 --log-level error
    [[ $stderr =~ ^"drover worker: $endpoint: no word from the server for 1 s: "$why$ ]]
    run -1 --separate-stderr "$DROVER" status "$endpoint" --timeout 1
    why="^drover status: $endpoint: no report within 1 s, but $why; expected "
    [[ $stderr =~ $why ]]
}

@test "drover train without workers of its own waits for others" {
    start_background train "$DROVER" train --data "$data" --workers 0 --output out --steps 5 \
        --set "server.bind=ipc://$work/control"
    wait_for_line 10 train ' server\.waiting for=workers there=0 needed=1 '
    "$DROVER" worker "ipc://$work/control"
    ends_well 20 train
    steps_done out 5
    run -2 --separate-stderr "$DROVER" train --data "$data" --workers 0 --output out
    [[ $stderr == "drover train: server.bind: nobody but local workers can find 'auto', "* ]]
}

@test "a worker finds its server while that still reads the data" {
    "$DROVER" data synth digits --train-rows 100 --test-rows 20
    mkfifo images
    start_background server "$DROVER" server --data digits --set data.train_images=images \
        --bind "ipc://$work/control" --steps 2 --output out
    wait_for 20 test -S control
    start_background worker "$DROVER" worker "ipc://$work/control"
    cat digits/train-images-idx3-ubyte >images
    ends_well 20 server
    ends_well 20 worker
}

@test "local workers reach a server that is bound to a network interface by its name" {
    timeout 30 "$DROVER" train --data "$data" --output out --steps 5 --set "server.bind=tcp://lo:$(four_ports)"
    steps_done out 5
}

@test "a server that does not end when it is told to is named, and killed by a second signal" {
    start_background train "$DROVER" train --data "$data" --workers 1 --output out "${settings[@]}"
    wait_for 30 steps_done out 10
    folder=$(socket_folder train)
    server=$(pgrep -g "${background[train]}" -f 'drover server')
    kill -STOP "$server"
    signal train TERM
    wait_for_line 10 train " train\.waiting for=server pid=$server "
    signal train TERM
    wait_exit 10 train
    expect_status 143
    all_gone train
}

# memory_of NAME: the address space that it has asked for, in KiB.
memory_of() {
    sed -n 's/^VmPeak:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/${background[$1]}/status"
}

@test "memory is asked for as steps are done" {
    start_server few --data "$data" --output run-few --steps 1 --bind "ipc://$work/few"
    start_server many --data "$data" --output run-many --steps 1000000000 --bind "ipc://$work/many"
    [ "$(memory_of many)" -lt $(($(memory_of few) + 1000000)) ]
}

@test "a server that is gone leaves its workers waiting, and they say so" {
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control"
    start_worker one
    wait_for 30 steps_done out 5
    kill_now server
    wait_for_line 20 one ' worker\.waiting for=server endpoint=ipc:'
    signal one TERM
    ends_well 10 one
}
