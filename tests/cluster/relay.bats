# Relays: workers behind them, relays behind relays, relays that die; the same bits.
load ../helpers
load cluster

# Long enough for what happens in it; an instrumented build is slow by itself.
settings=(--set training.block_rows=240 --set training.steps=$((DROVER_SLOWNESS > 1 ? 60 : 600))
    --set checkpoint.every_steps=5)

setup_file() {
    make_data 6000
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --output "$BATS_FILE_TMPDIR/calm" "${settings[@]}"
}

server() {
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" "$@"
}

same_bits() {
    same_run "$BATS_FILE_TMPDIR/calm" out
    [ "$(metric out refused | sort -u)" = 0 ]
}

@test "two relays, one below the other, and workers below each and beside them" {
    server --bind 'tcp://127.0.0.1:*' --set server.min_workers=2
    local above=$endpoint
    start_relay upper "$above" --bind 'tcp://127.0.0.1:*'
    start_worker two --threads 2
    start_relay lower "$endpoint" --bind "ipc://$work/lower"
    start_worker three
    start_worker four
    wait_for_line 20 lower ' worker\.joined name=three '
    wait_for_line 20 lower ' worker\.joined name=four '
    wait_for_line 20 server ' worker\.joined name=upper '
    endpoint=$above
    start_worker beside # the second; now it begins
    ends_well 60 server upper lower beside two three four
    [ "$(metric out workers | sort -u)" = 2 ] # a relay stands for all that is below it
    same_bits
}

@test "a relay is killed and started again; its workers find it" {
    server --bind "ipc://$work/s"
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker one
    start_worker two
    wait_for 30 steps_done out 5
    kill_now relay
    start_relay again "ipc://$work/s" --bind "ipc://$work/r"
    ends_well 60 server again one two
    grep -q ' worker.joined name=one ' "$work/again.log"
    same_bits
}

@test "the server is killed and goes on; relay and workers find it" {
    server --bind "ipc://$work/s"
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker one
    start_worker two
    wait_for 30 steps_done out 12
    kill_now server
    start_background resumed "$DROVER" server --resume out --bind "ipc://$work/s"
    ends_well 60 resumed relay one two
    [ "$(metric out step | sort -n | uniq -d)" = "" ]
    same_bits
}

@test "workers of a relay die, all of them; it comes back with the next" {
    server --bind "ipc://$work/s"
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker one
    wait_for 30 steps_done out 3
    kill_now one
    wait_for_line 20 relay ' relay\.idle '
    wait_for_line 20 server ' worker\.left name=relay '
    start_worker two
    ends_well 60 server relay two
    same_bits
}

@test "SIGTERM: a relay and a worker pass on what they compute, and leave" {
    server --bind "ipc://$work/s" --set server.min_workers=2
    start_worker beside
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker below
    wait_for 30 steps_done out 3
    signal relay TERM
    ends_well 20 relay
    wait_for_line 20 server ' worker\.left name=relay '
    signal below TERM # it waits for a relay
    ends_well 20 below
    ends_well 60 server beside
    same_bits
}

@test "a worker below a relay asks for rows that the relay was not asked for" {
    server --bind "ipc://$work/s" --set server.min_workers=2 \
        --set numerics.kernel=dense
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    run -0 "$python" "$DROVER_SOURCE_DIR/tests/python/scripted_peer.py" rows "$endpoint"
    [ "$output" = 5999 ]
}

@test "a relay that cannot be: exit status and one line" {
    run "$DROVER" relay
    expect_status 2
    for bind in nonsense tcp://127.0.0.1 tcp://127.0.0.1:0 "ipc://$(printf 'x%.0s' {1..300})"; do
        run "$DROVER" relay tcp://127.0.0.1:1 --bind "$bind"
        expect_status 2
        [ "${#lines[@]}" -eq 1 ]
        [[ ${lines[0]} == "drover relay: --bind: "*"$bind"* ]]
    done
    run "$DROVER" relay tcp://127.0.0.1:1 --bind ipc:///nowhere/control
    expect_status 1
    [ "$output" = 'drover relay: --bind: ipc:///nowhere/control: cannot bind the control plane: No such file or directory' ]
}

@test "a relay that is told not to wait for ever ends when its server is gone, but waits for workers" {
    server --bind "ipc://$work/s"
    start_relay relay "$endpoint" --bind "ipc://$work/r" --patience 1
    wait_for_line 10 relay ' relay\.waiting for=workers '
    wait_for_line 10 server ' server\.waiting for=workers '
    run ! has_ended relay # it has waited for longer than that
    start_background idle "$DROVER" relay "$endpoint" --bind "ipc://$work/i" --patience 1
    wait_for_line 10 idle ' relay\.waiting for=workers '
    signal idle TERM # which is no fault of the server's
    ends_well 20 idle
    endpoint=ipc://$work/r
    start_worker one
    wait_for 30 steps_done out 5
    kill_now server
    wait_exit 20 relay
    expect_status 1
    grep -qxF "drover relay: ipc://$work/s: no word from the server for 1 s" relay.log
}

one_has_ended() {
    has_ended "$1" || has_ended "$2"
}

@test "a relay that is given its own endpoint, or two that are given each other's, end with one line" {
    local circle=' relays one below the other, expected at most 8: do they lead in a circle\?$'
    start_relay alone "ipc://$work/alone" --bind "ipc://$work/alone"
    start_worker below
    wait_exit 20 alone
    expect_status 1
    grep -qE "^drover relay: ipc://$work/alone: what is above refuses this relay: [0-9]+$circle" alone.log
    start_relay one "ipc://$work/other" --bind "ipc://$work/one"
    start_worker below_one
    start_relay other "ipc://$work/one" --bind "ipc://$work/other"
    wait_for 20 one_has_ended one other
    cat one.log other.log | grep -qE "^drover relay: ipc://$work/.*: what is above refuses this relay: [0-9]+$circle"
}

@test "relays that have had a job and are then led in a circle: one ends with one line" {
    server --bind "ipc://$work/s"
    start_relay upper "$endpoint" --bind "ipc://$work/upper"
    start_relay lower "$endpoint" --bind "ipc://$work/lower"
    start_worker below
    wait_for 30 steps_done out 5
    kill_now upper
    start_relay wrong "ipc://$work/lower" --bind "ipc://$work/upper"
    wait_for 20 one_has_ended wrong lower
    cat wrong.log lower.log | grep -qE '^drover relay: .* do they lead in a circle\?$'
    kill -KILL "${background[wrong]}" "${background[lower]}" 2>/dev/null || true
    wait_exit 20 wrong # they hold their sockets until then
    wait_exit 20 lower
    start_relay righted "ipc://$work/s" --bind "ipc://$work/upper"
    start_relay again "$endpoint" --bind "ipc://$work/lower"
    ends_well 60 server
    same_bits
}

@test "a relay one of whose ports is taken says so at once" {
    local first
    first=$(four_ports)
    start_background taken "$python" -c "import socket; s = socket.socket()
s.bind(('127.0.0.1', $((first + 3))))
s.listen()
print('taken', flush=True)
s.accept()"
    wait_for_line 10 taken taken
    run -1 timeout 10 "$DROVER" relay tcp://127.0.0.1:1 --bind "tcp://127.0.0.1:$first"
    [ "$output" = "drover relay: --bind: tcp://127.0.0.1:$((first + 3)): cannot bind the gradients plane: Address already in use" ]
}
