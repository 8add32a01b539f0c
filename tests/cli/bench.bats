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
    run -0 --separate-stderr "$DROVER" bench step --workers 1,2 --params 51,1000 --steps 2 --rounds 3 --json
    python3 - "$output" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
runs = table.pop("runs")
assert table == {"steps": 2, "rounds": 3}, table
assert [(run["params"], run["workers"]) for run in runs] == [
    (51, 1), (51, 2), (1000, 1), (1000, 2)], runs
assert all(run["step_ms"] > 0 and run["raw_step_ms"] > 0 for run in runs), runs
assert all(0 < run["ratio_low"] <= run["ratio"] <= run["ratio_high"] for run in runs), runs
END
    run -0 --separate-stderr "$DROVER" bench step --workers 2 --params 51 --steps 2 --rounds 2
    [ "${#lines[@]}" -eq 4 ]
    awk 'NR == 4 && (NF != 8 || $1 != 51 || $2 != 2) {exit 1}' <<<"$(printf '%s\n' "${lines[@]}")"
}

@test "compute: the rows of a step, each kernel with each number of threads, the same cost" {
    # an input that is never zero, and one that is most of the time
    local options='--threads 1,2 --rounds 2' density
    for density in 100 10; do
        # shellcheck disable=SC2086 # words
        run -0 --separate-stderr "$DROVER" bench compute $options --rows 600 --set training.block_rows=100 --density "$density" \
            --set training.sample=1 --set model.layers='[{units: 16, activation: tanh}, {units: 10, activation: sigmoid}]' --json
        python3 - "$output" "$density" <<'END'
import json
import math
import sys

table, percent = json.loads(sys.argv[1]), int(sys.argv[2])
runs = table.pop("runs")
assert table["network"] == "784-16 tanh-10 sigmoid", table
assert (table["rows"], table["rows_a_step"], table["blocks"], table["rounds"]) == (600, 600, 6, 2)
assert abs(table["density"] - percent / 100) < 0.003 and table["others"] >= 0, table
# two products of the first layer, three of the second; two operations each
assert math.isclose(table["gflop"], 600 * 2 * (2 * 784 * 16 + 3 * 16 * 10) * 1e-9), table
assert [(r["threads"], r["kernel"].split("/")[0]) for r in runs] == [
    (1, "dense"), (1, "sparse"), (2, "dense"), (2, "sparse")], runs
for run in runs:
    assert abs(run["cost"] / runs[0]["cost"] - 1) < 1e-5 and 0 < run["cost"] < 10, run
    assert 0 < run["least_ms"] <= run["step_ms"] and run["sgemm_gflops"] > 0, run
    assert math.isclose(run["gflops"], table["gflop"] / run["step_ms"] * 1000), run
    assert math.isclose(run["share"], run["gflops"] / run["sgemm_gflops"]), run
    assert math.isclose(run["rows_per_s"], 600 / run["step_ms"] * 1000), run
    # what is left out: nothing, or for the sparse kernel nine tenths of the first layer
    done, first = run["done_gflops"] / run["gflops"], 2 * 784 / (2 * 784 + 3 * 10)
    if run["kernel"] == "sparse":
        assert abs(done - (1 - first * (1 - table["density"]))) < 1e-6, run
    else:
        assert math.isclose(done, 1), run
END
    done
}

@test "compute: drawn digits, a config, one kernel, the table" {
    printf 'training: {block_rows: 100}\nnumerics: {kernel: dense}\n' >config.yaml
    run -0 --separate-stderr "$DROVER" bench compute config.yaml --rows 250 --rounds 1
    [ "${#lines[@]}" -eq 5 ]
    local head='^784-64 tanh-10 sigmoid; 250 rows, 1. % of their bytes not zero; 1.. rows a step in 3 blocks: '
    [[ ${lines[0]} =~ $head ]]
    [[ ${lines[4]} =~ ^' '+1' dense/' ]]
    [ "$(wc -w <<<"${lines[4]}")" -eq 10 ]
}

@test "train: whole runs, as the processes' own metrics have them" {
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench train --workers 2,1 --threads 1 \
        --rows 600 --steps 5 --rounds 2 --json
    python3 - "$output" <<'END'
import json
import math
import sys

table = json.loads(sys.argv[1])
runs = table.pop("runs")
assert table.pop("others") >= 0 and table == {"steps": 5, "warm_steps": 1, "rounds": 2}, table
assert [(r["kernel"], r["workers"], r["threads"]) for r in runs] == [
    ("dense", 2, 1), ("dense", 1, 1), ("sparse", 2, 1), ("sparse", 1, 1)], runs
for run, one in zip(runs, (runs[1], runs[1], runs[3], runs[3])):
    assert run["rows"] == runs[0]["rows"] and abs(run["rows"] - 420) < 60, run
    assert 0 < run["least_ms"] <= run["least_run_ms"] <= run["step_ms"] <= run["most_run_ms"], run
    assert run["whole_s"] * 1000 > 5 * run["least_ms"], run
    assert math.isclose(run["efficiency"], one["step_ms"] / run["step_ms"] / run["workers"]), run
    assert math.isclose(run["rows_per_s"], run["rows"] / run["step_ms"] * 1000), run
END
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench train --workers 1 --threads 2 \
        --rows 600 --steps 2 --rounds 1 --set numerics.kernel=sparse
    [ "${#lines[@]}" -eq 4 ]
    read -ra words <<<"${lines[3]}" # without a row of one thread there is no efficiency
    [ "${#words[@]}" -eq 11 ]
    [ "${words[*]:0:3}" = "sparse 1 2" ]
    [ "${words[9]}" = - ]
    [ -z "$(ls)" ]
}

@test "start: to the first step, to the end, and to a worker's first partial" {
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench start --rows 600 --rounds 2 --json
    python3 - "$output" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
assert (table["workers"], table["rounds"]) == (1, 2) and table["others"] >= 0, table
rows = [table[name] for name in ("first_step_ms", "one_step_ms", "join_ms", "hello_ms")]
assert all(0 <= row["least"] <= row["median"] <= row["most"] for row in rows), rows
assert 0 < rows[0]["most"] < rows[1]["most"] and rows[3]["least"] <= rows[2]["least"], rows
END
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench start --rows 600 --rounds 1 --workers 2
    [[ ${lines[0]} == "2 workers; 1 rounds in turn; "* ]]
    awk 'NR > 2 && !($NF > 0 || /let in/) {exit 1} END {exit NR != 6}' <<<"$(printf '%s\n' "${lines[@]}")"
    [ -z "$(ls)" ]
}

@test "memory: of each role, beside what is promised" {
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench memory --rows 3000 --steps 4 \
        --threads 2 --json
    python3 - "$output" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
server, relay, worker = table.pop("roles")
assert table == {"steps": 4, "threads": 2, "model_bytes": 50890 * 4, "train_bytes": 3000 * 785,
                 "test_bytes": 500 * 785}, table
assert [r["role"] for r in (server, relay, worker)] == ["server", "relay", "worker"]
assert server["promised_bytes"] == 60e6 + 3500 * 785 + 8 * 50890 * 4, server
assert worker["promised_bytes"] == 60e6 + 3000 * 785 + 6 * 50890 * 4, worker
assert relay["promised_bytes"] is None, relay
for role in server, relay, worker: # each has all rows
    assert 3000 * 785 < role["own_bytes"] < role["peak_bytes"], role
END
    run -0 --separate-stderr env TMPDIR="$work" "$DROVER" bench memory --rows 300 --steps 2
    [ "${#lines[@]}" -eq 5 ]
    [[ ${lines[0]} == "2 steps with one worker of 1 thread, behind a relay; model 0.2 MB, "* ]]
    [ -z "$(ls)" ]
}

@test "compute: with MNIST" {
    need_mnist
    run -0 --separate-stderr "$DROVER" bench compute "$DROVER_SOURCE_DIR/config/mnist.yaml" \
        --data "$DROVER_DATA" --rounds 1 --set data.train_rows=2000 --set training.sample=1 --json
    python3 - "$output" <<'END'
import json
import sys

table = json.loads(sys.argv[1])
dense, sparse = table["runs"]
assert (table["rows_a_step"], table["blocks"]) == (2000, 4) and 0.18 < table["density"] < 0.2, table
# the pictures' rims are left out by both, all other zeros by one
assert 0.6 < dense["done_gflops"] / dense["gflops"] < 0.9, dense
assert 0.18 < sparse["done_gflops"] / sparse["gflops"] < 0.25, sparse
END
}

# its_config: the config that a process of the benchmark in the background runs.
its_config() {
    config=$(pgrep -g "$pid" -a | grep -o "$work/drover-bench-[^ ]*/config.yaml" | head -n 1)
    [ -n "$config" ]
}

@test "Ctrl-C ends all processes of a benchmark and removes its folder" {
    local command
    for command in train memory; do
        start_background bench env TMPDIR="$work" "$DROVER" bench "$command" --rows 600 --steps 1000000
        wait_for 20 its_config
        [ -e "$config" ]
        signal bench INT
        wait_exit 20 bench
        [ "$status" -eq 130 ]
        [ ! -s bench.log ]
        wait_for 5 group_gone bench
        rm bench.log
        # nothing but what ThreadSanitizer itself leaves of a process that is killed as it begins
        diff <(find . -mindepth 1 ! -name 'tsan.rodata.*') /dev/null
    done
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
    local see='(see drover bench simulate --help)'
    local list="expected up to 32 numbers from 1 to 100000 with commas between them $see"
    refused 2 "simulate: --workers: '1,,2', $list" simulate --workers 1,,2
    refused 2 "simulate: --workers: '0', $list" simulate --workers 0
    refused 2 "simulate: --workers: '1,x', $list" simulate --workers 1,x
    refused 2 "simulate: --relays: '-1', expected up to 32 numbers from 1 to 1000 with commas between them $see" \
        simulate --relays=-1
    refused 2 "simulate: --bind: 'tcp://127.0.0.1:5570', expected tcp://ADDRESS:* or ipc://PATH" \
        simulate --bind tcp://127.0.0.1:5570
    refused 2 "step: --workers: '101', expected up to 32 numbers from 1 to 100 with commas between them (see drover bench step --help)" \
        step --workers 101
    refused 2 "step: --params: '9', expected up to 32 numbers from 10 to 100000000 with commas between them (see drover bench step --help)" \
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

@test "what processes say is said on; nothing is left" {
    local command
    export TMPDIR=$work
    for command in "train --workers 1 --threads 1" start memory; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr "$DROVER" bench $command --data "$work/none"
        [ "$status" -eq 1 ]
        [[ $stderr == "drover bench ${command%% *}: "*"drover server: $work/none: no such folder, "* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
    refused 1 "compute: the training data has label 9, expected labels below 3, the units of the last \
layer (model.layers)" compute --rows 10 --set model.layers='[{units: 3, activation: tanh}]'
    refused 2 "train: --threads: '0', expected up to 32 numbers from 1 to 1024 with commas between them (see drover bench train --help)" \
        train --threads 0
    refused 2 "start: --set training.steps=x: 'x' is not a whole number; expected 1 to 1000000000" start --set training.steps=x
    [ -z "$(ls)" ]
}
