#!/usr/bin/env bats
# drover sweep: the trials of a file, resumed wherever they were stopped, with workers from anywhere.
load ../helpers
load ../cluster/cluster

setup_file() {
    make_data 1500
}

test_setup() {
    data=$BATS_FILE_TMPDIR/digits
    cat >grid.yaml <<'YAML'
keys:
  training.learning_rate: [0.1, 0.5]
  training.seed: [1, 2]
YAML
}

# long_run: into `command` a sweep of three trials in which 20 steps of one are not nearly all that are
# left; an instrumented build is slow by itself.
long_run() {
    echo 'keys: {training.seed: [1, 2, 3]}' >seeds.yaml
    command=(sweep seeds.yaml --data "$data" --set training.block_rows=128 --workers 2
        --steps $((DROVER_SLOWNESS > 1 ? 120 : 1200)) --set checkpoint.every_steps=5)
}

# sweep FILE FOLDER ARGUMENT...
sweep() {
    "$DROVER" sweep "$1" --data "$data" --output "$2" --set training.block_rows=128 "${@:3}"
}

# trials FOLDER: its trials but for the seconds.
trials() {
    sed -E 's/"seconds": [0-9.]+, //' "$1/trials.jsonl"
}

# refuses STATUS TEXT < FILE: the sweep of that file ends so, and no trial begins.
refuses() {
    cat >bad.yaml
    run sweep bad.yaml bad
    expect_status "$1"
    grep -qF "$2" <<<"$output"
    [ -z "$(find . -name 'trial-*')" ]
}

@test "a grid: all combinations, the last key fastest; a trial is a run; the best is linked" {
    run --separate-stderr sweep grid.yaml out --workers 2 --steps 15
    expect_status 0
    [ "$(sed -E 's/.*"trial": ([0-9]+), "status": "(.*)", "objective.*"keys": (.*)\}/\1 \2 \3/' out/trials.jsonl)" = \
        '1 done {"training.learning_rate": 0.1, "training.seed": 1}
2 done {"training.learning_rate": 0.1, "training.seed": 2}
3 done {"training.learning_rate": 0.5, "training.seed": 1}
4 done {"training.learning_rate": 0.5, "training.seed": 2}' ]
    "$DROVER" train --data "$data" --output plain --set training.block_rows=128 --steps 15 \
        --set training.learning_rate=0.5 --set training.seed=1
    cmp plain/model.safetensors out/trial-003/model.safetensors
    cmp plain/cost_history/part-00000 out/trial-003/cost_history/part-00000
    cmp plain/evaluation.json out/trial-003/evaluation.json
    grep -q '^  learning_rate: 0.5$' out/trial-003/config.yaml
    # sorted by accuracy, and the first is the best
    "$python" - out <<'PYTHON'
import json, os, sys
trials = [json.loads(line) for line in open(sys.argv[1] + "/trials.jsonl")]
best = max(trials, key=lambda t: t["objective"])
assert all(t["objective"] == t["test_accuracy"] for t in trials)
assert os.readlink(sys.argv[1] + "/best") == "trial-%03d" % best["trial"]
PYTHON
    [ "$(sed -n 1p <<<"$output")" = 'trial  test_accuracy  test_cost   seconds  training.learning_rate  training.seed' ]
    sed -n 2,5p <<<"$output" | awk '{print $2}' >column
    sort -rn column | cmp - column
    grep -q '^best by test_accuracy: trial [1-4], out/best$' <<<"$output"
    "$DROVER" evaluate out/best "$data"
    draw_pictures
    "$DROVER" plot out/best
    [ -s out/best/accuracy_history.png ]
    # all are done: the same again
    trials out >before
    run --separate-stderr sweep grid.yaml out --workers 1 --steps 15 --json
    expect_status 0
    trials out | cmp before -
    "$python" -c 'import json, sys
found = json.load(sys.stdin)
assert [t["trial"] for t in found["trials"]][0] == found["best"]
assert len(found["trials"]) == 4' <<<"$output"
}

@test "by test_cost the smallest is best" {
    cp grid.yaml cost.yaml
    echo 'objective: test_cost' >>cost.yaml
    run --separate-stderr sweep cost.yaml out --steps 10
    expect_status 0
    sed -n 2,5p <<<"$output" | awk '{print $3}' >column
    sort -n column | cmp - column
    [ "$(readlink out/best)" = "$(printf 'trial-%03d' "$(sed -n 2p <<<"$output" | awk '{print $1}')")" ]
}

@test "by validation, with early stopping: the model that a trial leaves is the one that counts" {
    sed 's/0.1, 0.5/8, 0.5/' grid.yaml >validate.yaml # the first rate is too large to go on for long
    echo 'objective: validation_cost' >>validate.yaml
    run sweep validate.yaml none
    expect_status 2
    grep -qF 'trial 1: objective validation_cost with data.validation 0' <<<"$output"
    local settings=(--steps 40 --set data.validation=0.2 --set evaluation.every_steps=2
        --set training.early_stopping.patience=1 --set training.schedule.kind=constant)
    run --separate-stderr sweep validate.yaml out --workers 2 "${settings[@]}"
    expect_status 0
    [[ ${lines[0]} == 'trial  validation_accuracy  validation_cost  test_accuracy  test_cost   seconds  '* ]]
    sed -n 2,5p <<<"$output" | awk '{print $3}' >column
    sort -n column | cmp - column
    [ "$(readlink out/best)" = "$(printf 'trial-%03d' "$(sed -n 2p <<<"$output" | awk '{print $1}')")" ]
    "$DROVER" train --data "$data" --output plain --set training.block_rows=128 "${settings[@]}" \
        --set training.learning_rate=8 --set training.seed=1 >plain.log
    [ "$(wc -l <out/trial-001/cost_history/part-00000)" -lt 40 ]
    cmp plain/model.safetensors out/trial-001/model.safetensors
    cost=$(sed -nE '1s/.*"validation_cost": ([0-9.]+),.*/\1/p' out/trials.jsonl)
    [ "$(printf '%.5f' "$cost")" = "$(awk '/^  validation cost/ {print $3}' plain.log)" ]
}

@test "a random search is repeatable, by its seed; whole numbers stay whole" {
    cat >random.yaml <<'YAML'
config: base/base.yaml
search: random
trials: 6
seed: 11
keys:
  training:
    learning_rate: {min: 0.001, max: 10, scale: log}
    momentum: {min: 0.8, max: 0.99}
    steps: {min: 2, max: 5}
    schedule.kind: [constant, cosine]
YAML
    mkdir base
    printf 'training:\n  optimizer: momentum\n  schedule.kind: constant\n' >base/base.yaml
    sweep random.yaml one --workers 1
    sweep random.yaml two --workers 3
    cmp <(trials one) <(trials two)
    cmp one/best/model.safetensors two/best/model.safetensors
    "$python" - <<'PYTHON'
import json
keys = [json.loads(line)["keys"] for line in open("one/trials.jsonl")]
assert len(keys) == 6
for k in keys:
    assert 0.001 <= k["training.learning_rate"] <= 10 and 0.8 <= k["training.momentum"] <= 0.99, k
    assert isinstance(k["training.steps"], int) and 2 <= k["training.steps"] <= 5, k
assert len({k["training.learning_rate"] for k in keys}) == 6
assert {k["training.schedule.kind"] for k in keys} == {"constant", "cosine"}
PYTHON
    sed 's/seed: 11/seed: 12/' random.yaml >other.yaml
    sweep other.yaml three
    [ "$(trials one)" != "$(trials three)" ]
}

@test "networks and kernels are searched over, too, and each trial has the bits of a run of its own" {
    cat >layers.yaml <<'YAML'
keys:
  model.layers:
    - [{units: 16, activation: tanh}, {units: 10, activation: sigmoid}]
    - '[{conv: {filters: 2, size: 5, stride: 2}, activation: relu}, {units: 10, activation: sigmoid}]'
  numerics.kernel: [sparse, dense]
YAML
    sweep layers.yaml out --workers 2 --steps 4
    local layers=('[{units: 16, activation: tanh}, {units: 10, activation: sigmoid}]'
        '[{conv: {filters: 2, size: 5, stride: 2}, activation: relu}, {units: 10, activation: sigmoid}]')
    local t=0 l kernel
    for l in 0 1; do
        for kernel in sparse dense; do
            t=$((t + 1))
            "$DROVER" train --data "$data" --output "plain$t" --set training.block_rows=128 --steps 4 \
                --set "model.layers=${layers[l]}" --set "numerics.kernel=$kernel"
            cmp "plain$t/model.safetensors" "out/trial-00$t/model.safetensors"
        done
    done
}

@test "killed -9 in the middle of a trial, the same command goes on to the same results" {
    local command
    long_run
    "$DROVER" "${command[@]}" --output calm
    start_background run "$DROVER" "${command[@]}" --output cut
    wait_for 60 steps_done cut/trial-002 20
    kill -KILL -- "-${background[run]}"
    wait_for 10 group_gone run
    rm -r "$(socket_folder run)" # nobody was left to do it
    [ "$(wc -l <cut/trials.jsonl)" = 1 ]
    first=$(stat -c %i cut/trial-001/model.safetensors)
    run "$DROVER" "${command[@]}" --output cut
    expect_status 0
    grep -qE 'run\.resumed folder=cut/trial-002 step=[1-9]' <<<"$output"
    [ "$(stat -c %i cut/trial-001/model.safetensors)" = "$first" ]
    cmp <(trials calm) <(trials cut)
    [ "$(readlink calm/best)" = "$(readlink cut/best)" ]
    cmp calm/best/model.safetensors cut/best/model.safetensors
    # and a server that is killed by itself is started again
    start_background run "$DROVER" "${command[@]}" --output died
    wait_for 60 steps_done died/trial-002 20
    pkill -KILL -g "${background[run]}" -f ' server ' # of this test's own group
    wait_exit 60 run
    expect_status 0
    grep -q server.restarted run.log
    cmp <(trials calm) <(trials died)
    cmp calm/best/model.safetensors died/best/model.safetensors
}

@test "Ctrl-C ends in order, and the sweep goes on" {
    local command
    long_run
    command+=(--output out)
    start_background run "$DROVER" "${command[@]}"
    wait_for 60 steps_done out/trial-001 20
    signal run INT
    wait_exit 30 run
    expect_status 130
    grep -qxF 'interrupted in trial 1 of 3; the same command with --output out goes on' run.log
    wait_for 10 group_gone run
    [ ! -e out/trials.jsonl ]
    run "$DROVER" "${command[@]}"
    expect_status 0
    grep -qE 'run\.resumed folder=out/trial-001 step=[1-9]' <<<"$output"
    [ "$(wc -l <out/trials.jsonl)" = 3 ]
}

@test "a worker of another machine takes part in all trials" {
    endpoint=ipc://$work/s
    start_background sweep "$DROVER" sweep grid.yaml --data "$data" --output out --steps 8 \
        --set training.block_rows=128 --workers 0 --bind "$endpoint"
    start_worker far
    wait_exit 30 sweep
    expect_status 0
    wait_exit 10 far
    expect_status 0
    [ "$(grep -c ' worker\.job ' far.log)" = 4 ]
    sweep grid.yaml local --steps 8
    cmp <(trials local) <(trials out)
    cmp local/best/model.safetensors out/best/model.safetensors
    # the server alone does the same, for whoever starts workers
    start_server server --sweep grid.yaml --data "$data" --output alone --steps 8 \
        --set training.block_rows=128 --bind "ipc://$work/t"
    start_worker near
    wait_exit 30 server
    expect_status 0
    cmp <(trials local) <(trials alone)
}

@test "workers behind a relay take part in all trials, each with its own kernel" {
    cat >kernels.yaml <<'YAML'
keys:
  numerics.kernel: [sparse, dense, sparse]
  training.seed: [1, 2]
YAML
    start_background sweep "$DROVER" sweep kernels.yaml --data "$data" --output out --steps 5 \
        --set training.block_rows=128 --set server.min_workers=2 --workers 0 --bind "ipc://$work/s"
    start_background relay "$DROVER" relay "ipc://$work/s" --bind "ipc://$work/r" --name rack
    endpoint=ipc://$work/r
    start_worker near
    start_worker next
    wait_for_line 20 near ' worker\.job '
    wait_for_line 20 next ' worker\.job '
    endpoint=ipc://$work/s
    start_worker last # without it the sweep may be over before both are in
    wait_exit 60 sweep
    expect_status 0
    wait_exit 10 near
    expect_status 0
    sweep kernels.yaml local --steps 5
    cmp <(trials local) <(trials out)
    local t
    for t in 1 2 3 4 5 6; do
        cmp "local/trial-00$t/model.safetensors" "out/trial-00$t/model.safetensors"
    done
}

@test "a trial that diverges is recorded and the others go on" {
    cat >wild.yaml <<'YAML'
keys:
  training.l2: [0.001, 1e6, 0] # the second one's weights are times -1e5 in each step
YAML
    run --separate-stderr sweep wild.yaml out --workers 2 --steps 12 --set training.schedule.kind=constant
    expect_status 0
    sed -n 2p out/trials.jsonl | grep -qE '^\{"trial": 2, "status": "failed", "objective": null, "reason": "step [0-9]+: diverged at learning rate 0.1: .*", "seconds": [0-9.]+, "keys": \{"training.l2": 1000000.0\}\}$'
    [ "$(grep -c '"status": "done"' out/trials.jsonl)" = 2 ]
    sed -n 4p <<<"$output" | grep -qE '^ +2 +failed +-'
    grep -q '^trial 2 failed: step [0-9]*: diverged at learning rate 0.1' <<<"$output"
    [ "$(readlink out/best)" != trial-002 ]
}

@test "another sweep in the same folder is an error" {
    sweep grid.yaml out --steps 3
    run sweep grid.yaml out --steps 4
    expect_status 1
    grep -qF "out/sweep.yaml: another sweep is in this folder: '  steps: 3' there, '  steps: 4' here" <<<"$output"
    sed 's/0.5/0.6/' grid.yaml >other.yaml
    run sweep other.yaml out --steps 3
    expect_status 1
    grep -qF 'another sweep is in this folder' <<<"$output"
}

@test "files that are no sweep name the line, the key and what was expected" {
    refuses 2 "bad.yaml:2: unknown key 'training.learning_rat'; did you mean 'training.learning_rate'?" <<<'keys:
  training.learning_rat: [1]'
    refuses 2 "bad.yaml:1: unknown key 'searc'; did you mean 'search'?" <<<'searc: grid'
    refuses 2 "bad.yaml:3: training.seed: an empty list" <<<'keys:
  training:
    seed: []'
    refuses 2 "bad.yaml:2: training.steps: 'ten' is not a whole number; expected 1 to 1000000000" <<<'keys:
  training.steps: [5, ten]'
    refuses 2 "bad.yaml:2: training.momentum.max: '1.0' is out of range" <<<'keys:
  training.momentum: {min: 0.5, max: 1}'
    refuses 2 'bad.yaml:4: training.momentum: min 0.9 is above max 0.1' <<<'search: random
trials: 3
keys:
  training.momentum: {min: 0.9, max: 0.1}'
    refuses 2 'bad.yaml:4: training.l2: min 0 with scale log' <<<'search: random
trials: 3
keys:
  training.l2: {min: 0, max: 0.1, scale: log}'
    refuses 2 "bad.yaml:2: training.l2: a range needs 'min' and 'max'" <<<'keys:
  training.l2: {min: 0}'
    refuses 2 'bad.yaml:2: training.l2: a range with search grid' <<<'keys:
  training.l2: {min: 0, max: 1}'
    refuses 2 'bad.yaml:2: training.l2: a single value where a list of the values to try, or a range {min, max}, is expected' <<<'keys:
  training.l2: 0.1'
    refuses 2 'bad.yaml:2: training.optimizer: a mapping where a list of the values to try is expected' <<<'keys:
  training.optimizer: {min: adam, max: adamw}'
    refuses 2 'bad.yaml:3: model.layers[0].units:' <<<'keys:
  model.layers:
    - [{units: many, activation: tanh}]'
    refuses 2 "bad.yaml: no 'keys'" <<<'search: grid'
    refuses 2 "bad.yaml: no 'trials'" <<<'search: random
keys: {training.seed: [1]}'
    refuses 2 'bad.yaml: trials: 3 with search grid' <<<'trials: 3
keys: {training.seed: [1]}'
    refuses 2 'bad.yaml:1: output.path: a sweep does not search over this key' <<<'keys: {output.path: [a]}'
    refuses 2 'bad.yaml: trial 2: training.optimizer is adam and training.schedule.kind is bold_driver' <<<'keys:
  training.optimizer: [gradient_descent, adam]'
    run "$DROVER" server --sweep bad.yaml --data "$data" --bind "ipc://$work/s" --output bad
    expect_status 2
    [[ $output == "drover server: bad.yaml: trial 2: training.optimizer is adam and training.schedule.kind is bold_driver"* ]]
    refuses 2 "no-such.yaml" <<<'{config: no-such.yaml, keys: {training.seed: [1]}}'
    refuses 1 'trial 2: ' <<<'keys:
  model.layers: ["[{units: 10, activation: sigmoid}]", "[{units: 3, activation: sigmoid}]"]'
    refuses 1 'trial 2: training.batch_rows: 1501, expected at most the 1500 rows to train on' <<<'keys:
  training.batch_rows: [100, 1501]'
    refuses 1 'trial 2: training.batch_rows: 1400, expected at most the 1200 rows to train on' <<<'keys:
  data.validation: [0.05, 0.2]
  training.batch_rows: [1400]'
    refuses 1 'trial 2: data.validation: 0.0001 of each class, ' <<<'keys: {data.validation: [0.1, 0.0001]}'
}

@test "without test data there is no objective" {
    run "$DROVER" sweep grid.yaml --output out --set "data.train_images=$data/train-images-idx3-ubyte" \
        --set "data.train_labels=$data/train-labels-idx1-ubyte"
    expect_status 1
    grep -qF 'objective test_accuracy: there are no test data; expected' <<<"$output"
}

@test "odd command lines" {
    run "$DROVER" sweep
    expect_status 2
    run "$DROVER" sweep grid.yaml
    expect_status 2
    grep -qF 'drover sweep: no data: give --data DIR' <<<"$output"
    run "$DROVER" sweep grid.yaml --data "$data" --resume out
    expect_status 2
    run sweep grid.yaml out --set training.seed=3
    expect_status 2
    grep -qF -- '--set training.seed=3: the sweep searches over training.seed (line 3 of its file)' <<<"$output"
    run sweep grid.yaml out --workers 0
    expect_status 2
    run "$DROVER" server --sweep grid.yaml --data "$data" --resume out
    expect_status 2
    grep -qF 'expected no --resume' <<<"$output"
}
