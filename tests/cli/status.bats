# drover status against a scripted peer: a relay that answers, and peers that do not.
load ../helpers
load ../cluster/cluster

test_setup() {
    endpoint=ipc://$work/control
    seconds=$((1 + DROVER_SLOWNESS))
}

# start_reporter KIND ARGUMENT...: the peer at $endpoint, ready, in the background as reporter-KIND.
start_reporter() {
    start_background "reporter-$1" "$python" "$DROVER_SOURCE_DIR/tests/python/scripted_peer.py" \
        reporter "$endpoint" "$@"
    wait_for_line 20 "reporter-$1" '^ready$'
}

# refused TEXT: the command fails and says exactly this, and nothing on standard output.
refused() {
    run --separate-stderr -1 "$DROVER" status "$endpoint" --timeout "$seconds"
    if [ "$stderr" != "drover status: $endpoint: $1" ] || [ -n "$output" ]; then
        printf 'stderr: %s\nstdout: %s\n' "$stderr" "$output"
        return 1
    fi
}

# has_lines NAME N REGEX: the log has N lines that match.
has_lines() {
    [ "$(grep -cE -- "$3" "$work/$1.log")" -ge "$2" ]
}

@test "a report is asked for until it comes, and printed as a table" {
    start_reporter good
    run -0 "$DROVER" status "$endpoint"
    cat >expected <<'END'
relay of tcp://10.0.0.1:5570, step 2, elapsed 12 s, ETA -
cost 0.25000, accuracy 0.8311, learning rate 2.5, rows/s 70123
evaluation of step 1: cost -, accuracy 0.5000
waiting for blocks of "node-7"

name    host    threads  kernel     role    state   rows/s   seen  owed       assigned  re-issued  refused
node-7  host-a        8  dense/Zen  worker  late         -  2.3 s     3  1099511627776          7        0
rack    host-b       64  dense/Zen  relay   active   70123  0.0 s     0             99          0        2
and 1 more

quarantined: bad on host-c
END
    diff expected - <<<"$output"
}

@test "a report as JSON" {
    start_reporter good
    run -0 "$DROVER" status "$endpoint" --json
    "$python" - "$output" <<'END'
import json
import sys

report = json.loads(sys.argv[1])
members = report.pop("members")
assert report == {
    "role": "relay", "upstream": "tcp://10.0.0.1:5570", "step": 2, "n_steps": None,
    "rows_per_s": 70123.4, "eta_s": None, "cost": 0.25, "accuracy": 0.8311, "learning_rate": 2.5,
    "elapsed_s": 12.0, "evaluation_step": 1, "evaluation_cost": None, "evaluation_accuracy": 0.5,
    "waiting_for": 'blocks of "node-7"', "n_members": 3,
    "quarantined": [{"name": "bad", "host": "host-c"}]}, report
assert members[0] == {
    "number": 1, "name": "node-7", "host": "host-a", "kernel": "dense/Zen", "threads": 8,
    "relay": False, "state": "late", "rows_per_s": None, "seen_ms": 2345, "owed": 3,
    "assigned": 1 << 40, "reissued": 7, "refused": 0}, members
assert len(members) == 2 and members[1]["relay"] is True, members
END
}

@test "--watch goes on until Ctrl-C" {
    start_reporter good
    start_background watch "$DROVER" status "$endpoint" --watch
    wait_for 20 has_lines watch 3 '^relay of tcp://10\.0\.0\.1:5570, step [0-9]+, '
    # each is a new one
    [ "$(grep '^relay of ' watch.log | sort | uniq -d)" = "" ]
    run ! grep -q $'\033' watch.log
    signal watch INT
    wait_exit 10 watch
    expect_status 130
    start_background json "$DROVER" status "$endpoint" --watch --json
    wait_for 20 has_lines json 2 '^\{"role": "relay", .*\}$'
    run ! grep -v '^{"role": "relay", ' json.log
    signal json TERM
    wait_exit 10 json
    expect_status 143
}

# A terminal of 5 lines and 40 columns shows four lines, cut, and draws over them.
@test "--watch on a terminal" {
    start_reporter good
    cat >terminal.py <<'END'
import fcntl, os, pty, signal, struct, sys, termios

child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 40, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while seen.count(b"\033[J") < 2:
    seen += os.read(terminal, 4096)
os.write(terminal, b"\x03")  # Ctrl-C
while True:
    try:
        if not os.read(terminal, 4096):
            break
    except OSError:
        break  # its other end is closed
_, status = os.waitpid(child, 0)
for screen in seen.decode().split("\033[J")[:2]:
    lines = screen.split("\r\n")
    assert lines[0].startswith("\033[Hrelay of tcp://10.0.0.1:5570, step "), lines
    assert [line.removesuffix("\033[K") for line in lines[1:]] == [
        "cost 0.25000, accuracy 0.8311, learning ", "evaluation of step 1: cost -, accuracy 0",
        'waiting for blocks of "node-7"', ""], lines
sys.exit(os.waitstatus_to_exitcode(status))
END
    run -130 timeout $((30 * DROVER_SLOWNESS)) env --default-signal=INT,QUIT \
        "$python" terminal.py "$DROVER" status "$endpoint" --watch
}

@test "no answer, garbage, another message or another version" {
    local expected='expected the control endpoint of a running server or relay'
    local kind
    local -A came=([nobody]='' [mute]='' [garbage]=', but not a well-formed MessagePack header'
        [rejoin]=', but REJOIN')
    # side by side, since each waits all the time that it was given
    for kind in "${!came[@]}"; do
        endpoint=ipc://$work/$kind
        [ "$kind" = nobody ] || start_reporter "$kind"
        start_background "ask-$kind" "$DROVER" status "$endpoint" --timeout "$seconds"
    done
    for kind in "${!came[@]}"; do
        wait_exit 20 "ask-$kind"
        expect_status 1
        diff "ask-$kind.log" - \
            <<<"drover status: ipc://$work/$kind: no report within $seconds s${came[$kind]}; $expected"
    done
    endpoint=ipc://$work/control
    start_reporter good --version 2
    refused 'speaks protocol version 2, expected 1'
    run -1 --separate-stderr "$DROVER" status nonsense
    [ "$stderr" = "drover status: 'nonsense' is no endpoint, expected tcp://HOST:PORT or ipc://PATH" ]
}

@test "--watch ends when the answers end, and when nobody reads them" {
    start_reporter good
    start_background watch "$DROVER" status "$endpoint" --watch --timeout "$seconds"
    wait_for 20 has_lines watch 1 '^relay of '
    kill_now reporter-good
    wait_exit 10 watch
    expect_status 1
    [ "$(tail -n 1 watch.log)" = "drover status: $endpoint: no report within $seconds s; expected the control endpoint of a running server or relay" ]
    start_reporter good
    run -0 timeout $((20 * DROVER_SLOWNESS)) bash -c '"$1" status "$2" --watch | head -n 1' - "$DROVER" "$endpoint"
    [[ $output == 'relay of '*'drover: cannot write to standard output: Broken pipe' ]]
}
