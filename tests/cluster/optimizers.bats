# Every optimizer, with a schedule and what else there is: the same bits through faults and resuming.
load ../helpers
load cluster

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 1200 --test-rows 100 --seed 3
}

train() {
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --set training.block_rows=100 "$@"
}

# same_rates FOLDER FOLDER: the same run, with the same evaluation and learning rates.
same_rates() {
    same_run "$1" "$2"
    cmp "$1/evaluation.json" "$2/evaluation.json"
    [ "$(metric "$1" learning_rate | sha256sum)" = "$(metric "$2" learning_rate | sha256sum)" ]
}

# goes_on KEY=VALUE...: a run of 20 steps, and one that stops after 9.
goes_on() {
    local settings=() each
    for each in "$@"; do
        settings+=(--set "training.$each")
    done
    train --workers 2 --output calm --steps 20 "${settings[@]}"
    train --workers 1 --output split --steps 9 "${settings[@]}"
    "$DROVER" train --resume split --workers 3 --steps 20 # with its own config.yaml
    same_rates calm split
}

@test "gradient descent with penalties, clipped, goes on" {
    goes_on schedule.kind=exponential l1=1e-4 l2=1e-3 clip_norm=0.1
}
@test "so it does with the bold driver and an average" { goes_on l2=1e-3 ema=0.9; }
@test "momentum goes on" { goes_on optimizer=momentum schedule.kind=step schedule.every_steps=7; }
@test "Nesterov goes on" { goes_on optimizer=nesterov schedule.kind=constant schedule.warmup_steps=12; }
@test "Adam with an average goes on" {
    goes_on optimizer=adam learning_rate=0.01 ema=0.9 schedule.kind=cosine schedule.steps=20
}
@test "AdamW goes on" {
    goes_on optimizer=adamw learning_rate=0.01 schedule.kind=cosine schedule.steps=20 schedule.warmup_steps=3
}

adam=(--set training.optimizer=adam --set training.learning_rate=0.002 --set training.ema=0.95
    --set training.schedule.kind=cosine)

# all_ways ARGUMENT...: 1, 2 and 5 workers, one of which is killed, and a server that is.
all_ways() {
    local job=(--steps $((DROVER_SLOWNESS > 1 ? 120 : 1000)) "$@") # not over before the last kill
    train --workers 1 --output one "${job[@]}"
    train --workers 2 --threads 2 --output two "${job[@]}"
    same_rates one two
    start_train five --workers 5 "${job[@]}"
    wait_for 30 steps_done five 20
    kill_child five 'drover worker .* local-3'
    ends_well 60 five
    grep -q 'worker.restarted name=local-3' five.log
    same_rates one five
    start_train killed --workers 2 "${job[@]}"
    wait_for 30 steps_done killed 25
    kill_child killed 'drover server'
    ends_well 60 killed
    grep -q 'server.restarted' killed.log
    same_rates one killed
}

# start_train OUTPUT ARGUMENT...: train in the background, named as its output.
start_train() {
    local name=$1
    shift
    start_background "$name" "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --set training.block_rows=100 \
        --output "$name" "$@"
}

@test "Adam with dropout on batches by permutation: the same bytes all ways" {
    all_ways "${adam[@]}" --set training.batch_rows=450 \
        --set 'model.layers=[{units: 24, activation: relu, dropout: 0.3}, {units: 10, activation: sigmoid}]'
}

@test "the bold driver that rolls back: the same bytes all ways" {
    all_ways --set training.bold_driver.rollback=true --set training.learning_rate=1
    # and so it did
    metric one learning_rate | awk '$1 < last { n++ } { last = $1 } END { exit !(n > 2) }'
}

@test "the average is what is evaluated, of the model and of a checkpoint" {
    train --output out --steps 20 "${adam[@]}"
    local each
    for each in out/model.safetensors out/checkpoint/step-0000000020.safetensors; do
        "$DROVER" evaluate "$each" "$BATS_FILE_TMPDIR/digits" --json >seen.json
        cmp out/evaluation.json seen.json
    done
}

@test "another optimizer is not gone on with, and the key is named" {
    train --output run --steps 5 "${adam[@]}"
    local change
    for change in optimizer=momentum beta1=0.8 beta2=0.99 epsilon=1e-7 l1=1 l2=1 clip_norm=1 ema=0 \
        schedule.kind=step schedule.warmup_steps=1 schedule.steps=9 schedule.final_rate=0.001 learning_rate=0.1; do
        run "$DROVER" train --resume run --set "training.$change"
        expect_status 1
        [ "$output" = "drover server: run: its checkpoint is of another training.${change%=*} than this run's" ]
    done
    # how long cosine takes is that of the steps unless it is said
    run "$DROVER" train --resume run --steps 10
    expect_status 1
    [ "$output" = "drover server: run: its checkpoint is of another training.schedule.steps than this run's" ]
    # what the optimizer does not use may change
    "$DROVER" train --resume run --set training.momentum=0.5 --set training.weight_decay=0.5
}

@test "settings that do not fit each other are an error of the command line" {
    run train --output out --set training.optimizer=adam
    expect_status 2
    [[ $output == *'training.optimizer is adam and training.schedule.kind is bold_driver'* ]]
    [ ! -e out ]
}

@test "a training that diverges ends with a line that says where, and its checkpoints stay" {
    # the penalty's gradient is 1e6 w, so that weights are times -1e5 in each step
    run train --workers 2 --output out --set training.l2=1e6 --set training.learning_rate=0.1 \
        --set training.schedule.kind=constant --set checkpoint.every_steps=2
    expect_status 1
    [ "$(grep -c '^drover ' <<<"$output")" -eq 1 ]
    grep -qxF 'drover server: step 8: diverged at learning rate 0.1: layer 1 is the first whose gradient or update is not finite; the last checkpoints before are in out/checkpoint' <<<"$output"
    [ "$(wc -l <out/metrics.jsonl)" -eq 7 ]
    [ "$(ls out/checkpoint)" = "$(printf 'step-%010d.safetensors\n' 4 6)" ]
    [ ! -e out/model.safetensors ]
    run train --output none --steps 100 --set training.l2=1e6 --set training.learning_rate=1e6 \
        --set training.schedule.kind=constant
    expect_status 1
    grep -qE '^drover server: step [0-9]+: diverged at learning rate 1e\+06: .*; there is no checkpoint yet$' <<<"$output"
}

@test "so does one whose workers' gradients are not finite: no worker is blamed" {
    local workers each
    for workers in 1 2 4; do
        # and again when it goes on: then they have sent nothing right before
        for each in --output --resume; do
            run train --workers $workers --set server.min_workers=$workers $each out \
                --set training.schedule.kind=constant --set training.learning_rate=10 --set checkpoint.every_steps=1 \
                --set 'model.layers=[{units: 32, activation: leaky_relu}, {units: 10, activation: leaky_relu}]'
            expect_status 1
            grep -qE '^drover server: step 5: diverged at learning rate 10: .*layer 1 is the first whose gradient .*is not finite; the last checkpoints before are in out/checkpoint$' <<<"$output"
            [ "$(ls out/checkpoint)" = "$(printf 'step-%010d.safetensors\n' 3 4)" ]
            run ! grep quarantined <<<"$output"
        done
    done
}
