# drover bench: that it runs, adds up and says what is wrong. No time is asserted.
load ../helpers

@test "simulate: flat and with relays, over tcp and ipc, the same weights" {
    local bind
    for bind in 'tcp://127.0.0.1:*' "ipc://$work/s"; do
        run -0 --separate-stderr "$DROVER" bench simulate --workers 1,3 --relays 2 --params 1000 \
            --steps 5 --bind "$bind" --json
        python3 - "$output" "$bind" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
runs = table.pop("runs")
assert table == {
    "params": 1000, "blocks": 64, "steps": 5, "warm_steps": 1, "bind": sys.argv[2]}, table
assert [(run["workers"], run["relays"]) for run in runs] == [(1, 0), (3, 0), (3, 2)], runs
assert len({run["weights"] for run in runs}) == 1, runs
for run in runs:
    members = run["relays"] or run["workers"]
    # A step brings each member its weights, and a partial back.
    assert run["sent_messages"] >= members and run["received_messages"] >= members, run
    assert run["sent_bytes"] >= members * 4000 and run["received_bytes"] >= members * 4000, run
    # So short a run may be over before the processes' clocks are read the first time.
    assert run["step_ms"] > 0 and run["all_cpu_ms"] >= run["server_cpu_ms"] >= 0, run
    assert run["relays"] > 0 or run["relays_cpu_ms"] == 0, run
END
    done
    [ "$(ls "$work")" = "" ] # no socket is left
}

@test "simulate: the table" {
    run -0 --separate-stderr "$DROVER" bench simulate --workers 2,1 --relays 2,1 --params 1000 --steps 2
    [ "${#lines[@]}" -eq 8 ]
    [[ ${lines[0]} == "1000 parameters, 64 blocks, 2 steps, "* ]]
    # relays without workers are left out
    diff <(printf '%s\n' '2 0' '2 2' '2 1' '1 0' '1 1') \
        <(printf '%s\n' "${lines[@]:3}" | awk '{print $1, $2}')
    awk 'NR > 4 && NF != 10 {exit 1}' <<<"$output"
}

@test "step: a row for each number of parameters and workers, with the raw loop beside it" {
    run -0 --separate-stderr "$DROVER" bench step --workers 1,2 --params 51,1000 --steps 2 --json
    python3 - "$output" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
runs = table.pop("runs")
assert table == {"steps": 2, "rounds": 3}, table
assert [(run["params"], run["workers"]) for run in runs] == [
    (51, 1), (51, 2), (1000, 1), (1000, 2)], runs
assert all(run["step_ms"] > 0 and run["raw_step_ms"] > 0 for run in runs), runs
END
    run -0 --separate-stderr "$DROVER" bench step --workers 2 --params 51 --steps 2
    [ "${#lines[@]}" -eq 3 ]
    awk 'NR == 3 && (NF != 5 || $1 != 51 || $2 != 2) {exit 1}' <<<"$(printf '%s\n' "${lines[@]}")"
}

# refused STATUS TEXT ARGUMENT...: exactly this line, on standard error alone.
refused() {
    local wanted=$1 text=$2
    shift 2
    run --separate-stderr "$DROVER" bench "$@"
    if [ "$status" -ne "$wanted" ] || [ "$stderr" != "drover bench $text" ]; then
        printf 'status %s, stderr: %s\n' "$status" "$stderr"
        return 1
    fi
}

@test "what cannot be measured: one line and the exit status" {
    local list='expected up to 32 numbers from 1 to 100000 with commas between them'
    refused 2 "simulate: --workers: '1,,2', $list" simulate --workers 1,,2
    refused 2 "simulate: --workers: '0', $list" simulate --workers 0
    refused 2 "simulate: --workers: '1,x', $list" simulate --workers 1,x
    refused 2 "simulate: --relays: '-1', expected up to 32 numbers from 1 to 1000 with commas between them" \
        simulate --relays=-1
    refused 2 "simulate: --bind: 'tcp://127.0.0.1:5570', expected tcp://ADDRESS:* or ipc://PATH" \
        simulate --bind tcp://127.0.0.1:5570
    refused 2 "step: --workers: '101', expected up to 32 numbers from 1 to 100 with commas between them" \
        step --workers 101
    refused 2 "step: --params: '9', expected up to 32 numbers from 10 to 100000000 with commas between them" \
        step --params 9
    run --separate-stderr "$DROVER" bench simulation
    [ "$status" -eq 2 ]
    [ "$stderr" = "drover bench: unknown command 'simulation'; did you mean 'simulate'? (see drover bench --help)" ]
}

@test "simulate: more workers than descriptors; a server that cannot bind" {
    ulimit -n 200
    refused 1 "simulate: 40 workers, 0 relays: 40 workers below one server or relay need 224 file \
descriptors there, the limit (ulimit -Hn) is 200: at most 34 fit" simulate --workers 40 --json
    refused 1 "simulate: 34 workers, 0 relays: 34 simulated workers need 336 file descriptors, the \
limit (ulimit -Hn) is 200: at most 17 fit" simulate --workers 34 --json
    refused 1 "simulate: 1 workers, 0 relays: a server: server.bind: ipc:///no/such/folder: cannot \
bind the control plane: No such file or directory" simulate --workers 1 --bind ipc:///no/such/folder
}
