# Rows held out for validation, evaluations while the training goes on, early stopping.
load ../helpers
load cluster

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 1500 --test-rows 300 --seed 3
}

settings=(--set training.block_rows=100 --set data.validation=0.2)

train() {
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" "${settings[@]}" "$@"
}

refused() {
    local line=$1
    shift
    run "$@"
    [ "$status" -ne 0 ]
    grep -qF -- "$line" <<<"$output"
}

@test "validation: rows are held out of each step, the same ones for any workers, batches too" {
    local each
    for each in training.sample=1 training.batch_rows=300; do
        train --workers 1 --output one --steps 8 --set "$each"
        train --workers 3 --output three --steps 8 --set "$each"
        train --workers 2 --output half --steps 3 --set "$each"
        "$DROVER" train --resume half --steps 8
        cmp one/model.safetensors three/model.safetensors
        cmp one/model.safetensors half/model.safetensors
    done
    [ "$(metric one rows | sort -u)" = 300 ] # of 1200, four steps an epoch
    train --output weighted --steps 2 --set data.train_rows=1000 --set training.sample=1 \
        --set model.class_weights=balanced
    [ "$(metric weighted rows | sort -u)" -eq 800 ]
}

@test "validation: another part, or another seed, is another training" {
    train --output run --steps 3
    refused "its checkpoint is of another data.validation" \
        "$DROVER" train --resume run --set data.validation=0.1
    refused "data.validation: 0.0001 of each class, rounded and never its last row, is none of the 1500 rows" \
        train --output out --set data.validation=0.0001
    "$DROVER" data synth "$work/ten" --train-rows 10 --test-rows 10 # one of each class
    refused "data.validation: 0.9 of each class, rounded and never its last row, is none of the 10 rows" \
        "$DROVER" train --data "$work/ten" --output out --set data.validation=0.9
    refused "training.batch_rows: 1201, expected at most the 1200 rows to train on" \
        train --output out --set training.batch_rows=1201
    refused "data.validation" train --output out --set data.validation=1
    [ ! -e out ]
}

@test "validation: a worker with data of its own takes part, and so does one behind a relay" {
    train --output one --steps 20
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out --steps 20 "${settings[@]}" \
        --bind "ipc://$work/s" --set server.min_workers=2
    start_worker own --data "$BATS_FILE_TMPDIR/digits"
    start_relay relay "$endpoint" --bind "ipc://$work/r" --data "$BATS_FILE_TMPDIR/digits"
    start_worker below --data "$BATS_FILE_TMPDIR/digits"
    ends_well 60 server own relay below
    cmp one/model.safetensors out/model.safetensors
    # other rows than those that the job was cut from are refused, as ever
    start_server other --data "$BATS_FILE_TMPDIR/digits" --output out2 --steps 2 "${settings[@]}" \
        --bind "ipc://$work/o" --set data.train_rows=1400
    start_worker wrong --data "$BATS_FILE_TMPDIR/digits"
    wait_exit 30 wrong
    expect_status 1
    start_worker right
    ends_well 30 other
}

# The run in every test that follows: an average, evaluations on both sets, and early stopping, which
# comes well before the last step.
rate=$([ "$DROVER_SLOWNESS" -eq 1 ] && echo 0.02 || echo 0.03) # sooner for an instrumented build, which is slow
stopping=(--set training.optimizer=adam --set "training.learning_rate=$rate" --set training.ema=0.9
    --set training.schedule.kind=constant --set evaluation.every_steps=5 --set training.early_stopping.patience=3
    --set checkpoint.every_steps=4 --steps 3000)

# same_trials FOLDER FOLDER: the same run, each evaluation once in it.
same_trials() {
    same_run "$1" "$2"
    cmp "$1/evaluation.json" "$2/evaluation.json"
    diff <(grep validation_cost "$1/metrics.jsonl") <(grep validation_cost "$2/metrics.jsonl")
}

# The run that others are compared with, once.
make_one() {
    one=$BATS_FILE_TMPDIR/one
    [ -e "$one/model.safetensors" ] || train --workers 1 --output "$one" "${stopping[@]}" >"$BATS_FILE_TMPDIR/one.log" 2>&1
}

@test "early stopping: the model of the lowest validation cost is left, and it is what was measured" {
    make_one
    "$python" - "$one" <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1] + "/metrics.jsonl")]
steps = [line["step"] for line in lines if "learning_rate" in line]
trials = [line for line in lines if "validation_cost" in line]
assert steps == list(range(1, len(steps) + 1)), "each step once"
assert [t["step"] for t in trials] == list(range(5, len(steps) + 1, 5)), "each evaluation once"
costs = [t["validation_cost"] for t in trials]
best = min(range(len(costs)), key=lambda i: costs[i])
assert len(trials) == best + 1 + 3 and len(steps) == trials[-1]["step"] + 4, "stops before the third one's next"
left = json.load(open(sys.argv[1] + "/evaluation.json"))
assert left["accuracy"] == trials[best]["test_accuracy"]
assert abs(left["cost"] / trials[best]["test_cost"] - 1) < 1e-6
print(len(steps), trials[best])
PYTHON
    # and so say others: of the model, and of the checkpoint of the last step
    local each
    for each in "$one/model.safetensors" "$one"/checkpoint/*"$(wc -l <"$one/cost_history/part-00000")".safetensors; do
        "$DROVER" evaluate "$each" "$BATS_FILE_TMPDIR/digits" --json >seen.json
        cmp "$one/evaluation.json" seen.json
    done
    grep -q 'model of step' "$BATS_FILE_TMPDIR/one.log"
}

@test "early stopping: the same for 2 and 5 workers, 2 threads and the dense kernel's own" {
    make_one
    train --workers 2 --threads 2 --output two "${stopping[@]}"
    same_trials "$one" two
    train --workers 5 --output five "${stopping[@]}"
    same_trials "$one" five
    train --workers 1 --output d1 "${stopping[@]}" --steps 40 --set numerics.kernel=dense
    train --workers 3 --output d3 "${stopping[@]}" --steps 40 --set numerics.kernel=dense
    same_trials d1 d3
}

@test "early stopping: the same through a relay, beside a worker with data of its own, one of which is killed" {
    make_one
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" "${stopping[@]}" \
        --bind "ipc://$work/s" --set server.min_workers=2
    start_worker own --data "$BATS_FILE_TMPDIR/digits"
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker below
    start_worker other
    wait_for 30 steps_done out 40
    kill_now other
    ends_well 60 server own relay below
    same_trials "$one" out
}

@test "early stopping: the same when server and workers are killed, and when it stops in between" {
    make_one
    start_background run "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" "${settings[@]}" "${stopping[@]}" \
        --workers 3 --output out
    wait_for 30 steps_done out 20
    kill_child run 'drover server'
    wait_for_line 30 run 'run\.resumed'
    kill_child run 'drover worker .* local-2'
    ends_well 60 run
    same_trials "$one" out
    # the trial of step 20 has just begun, is under way, or is about to be decided
    local each
    for each in 20 22 24; do
        train --output "at-$each" "${stopping[@]}" --steps "$each"
        "$DROVER" train --resume "at-$each" --workers 2 --steps 3000
        same_trials "$one" "at-$each"
    done
    # what has stopped stays so
    "$DROVER" train --resume at-24 --workers 2
    same_trials "$one" at-24
}

@test "evaluation: on test data alone, after every step" {
    train --output out --steps 5 --set data.validation=0 --set evaluation.every_steps=1 --workers 2
    "$python" - out <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open("out/metrics.jsonl")]
trials = [line for line in lines if "test_cost" in line]
assert [t["step"] for t in trials] == [1, 2, 3, 4, 5] and list(trials[0]) == ["step", "test_cost", "test_accuracy"]
left = json.load(open("out/evaluation.json"))
assert left["accuracy"] == trials[-1]["test_accuracy"] and abs(left["cost"] / trials[-1]["test_cost"] - 1) < 1e-6
PYTHON
}

@test "evaluation: a server that is killed behind the training, when its workers have left, gets workers again" {
    stub gnuplot "mkdir '$work/killed' 2>/dev/null || exit 0
        supervisor=\$(ps -o ppid= \$PPID)
        for worker in \$(pgrep -P \$supervisor -f 'drover worker'); do
            timeout $((20 * DROVER_SLOWNESS)) tail --pid=\$worker -s 0.05 -f /dev/null || exit 1
        done
        kill -KILL \$PPID"
    start_background run "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" "${settings[@]}" --workers 2 \
        --output out --steps 20 --set evaluation.every_steps=5
    ends_well 60 run
    grep -q 'server\.restarted' run.log
    [ "$(grep -c validation_cost out/metrics.jsonl)" -eq 4 ]
}

@test "evaluation: settings that do not fit each other, and another training" {
    refused "training.early_stopping.patience is 2, and evaluation.every_steps is 0; expected it above 0" \
        train --output out --set training.early_stopping.patience=2
    refused "training.early_stopping.patience is 2, and data.validation is 0; expected it above 0" \
        train --output out --set training.early_stopping.patience=2 --set data.validation=0 \
        --set evaluation.every_steps=5
    refused "evaluation.every_steps is 5 and there is nothing to evaluate on" \
        "$DROVER" train --output out --set evaluation.every_steps=5 \
        --set data.train_images="$BATS_FILE_TMPDIR/digits/train-images-idx3-ubyte" \
        --set data.train_labels="$BATS_FILE_TMPDIR/digits/train-labels-idx1-ubyte"
    train --output run "${stopping[@]}" --steps 10
    refused "its checkpoint is of another training.early_stopping.patience" \
        "$DROVER" train --resume run --set training.early_stopping.patience=4
    refused "its checkpoint is of another evaluation.every_steps" \
        "$DROVER" train --resume run --set evaluation.every_steps=6
}
