# The worker in Python, written from docs/protocol.md, in real runs.
load ../helpers
load cluster

settings=(--set numerics.mode=fast --set training.block_rows=240 --set training.steps=30 --set numerics.kernel=dense)

setup_file() {
    make_data 3000
    train_each run "${settings[@]}"
}

start_python() {
    start_background "$1" "$python" "$DROVER_SOURCE_DIR/tests/python/drover_worker.py" "$endpoint" \
        "$@"
}

# sent NAME: how many partials it says it sent.
sent() {
    sed -n 's/^partials=\([0-9]*\) .*/\1/p' "$1.log"
}

# close_to_c: the run in out has the costs of the one that C workers computed, and refused nothing.
close_to_c() {
    [ "$(metric out refused | sort -u)" = 0 ]
    paste "$BATS_FILE_TMPDIR/$name.run/cost_history/part-00000" out/cost_history/part-00000 |
        awk 'NF == 2 && ($1 - $2) ^ 2 < 1e-6 { n++ } END { exit n != 30 }'
}

alone() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${settings[@]}" --bind 'tcp://127.0.0.1:*' \
        --set evaluation.every_steps=10
    start_python snake
    ends_well 60 server
    ends_well 10 snake
    # one node a step: nothing was repeated, and nobody else was there
    [ "$(sent snake)" -ge 30 ]
    close_to_c
    grep -q 'kernel *dense/numpy' server.log
    # its evaluations are right as well
    "$python" - <<'PYTHON'
import json
trials = [t for t in map(json.loads, open("out/metrics.jsonl")) if "test_cost" in t]
left = json.load(open("out/evaluation.json"))
assert [t["step"] for t in trials] == [10, 20, 30], trials
assert abs(trials[-1]["test_accuracy"] - left["accuracy"]) < 0.01 and abs(trials[-1]["test_cost"] - left["cost"]) < 1e-4
PYTHON
}

@test "the Python worker alone (digits)" { alone digits; }
@test "the Python worker alone (MNIST)" { alone mnist; }

beside() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control" \
        --set server.min_workers=2
    start_worker see
    start_python snake
    ends_well 60 server
    ends_well 10 snake
    ends_well 10 see
    # where it is late, others are given its share
    [ "$(sent snake)" -gt 0 ]
    [ "$(metric out workers | sort -u)" = 2 ]
    close_to_c
    # neither did the work of both; a step that is over before it was looked at is left out
    grep -qE '^partials=[0-9]+ blocks=[0-9]+ steps=[0-9]+$' snake.log
    [ "$(sed 's/.*blocks=\([0-9]*\).*/\1/' snake.log)" -lt $((13 * 30)) ]
    grep -q 'worker\.kernel name=.*numerics.mode is fast' server.log
}

@test "the Python worker beside a C worker (digits)" { beside digits; }
@test "the Python worker beside a C worker (MNIST)" { beside mnist; }

@test "the Python worker is killed and another takes its place" {
    name=digits
    data_of digits
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control"
    start_python snake
    wait_for 60 steps_done out 5
    kill_now snake
    start_python adder
    ends_well 60 server
    ends_well 10 adder
    [ "$(sent adder)" -gt 0 ]
    close_to_c
}
