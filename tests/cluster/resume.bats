#!/usr/bin/env bats
# A run that stops, in whatever way, and goes on ends with the bits of one that did not stop.
load ../helpers
load cluster

setup_file() {
    make_data 4000
    data_of digits
    train --workers 2 --output "$BATS_FILE_TMPDIR/calm"
}

train() {
    "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$data" "$@"
}

# same_as_calm FOLDER: the run in it has the bits of the calm one, each step once.
same_as_calm() {
    same_run calm "$1"
    [ "$(metric "$1" step | tr '\n' ' ')" = "$(metric calm step | tr '\n' ' ')" ]
}

@test "a shorter run goes on to more steps" {
    data_of digits
    ln -s "$BATS_FILE_TMPDIR/calm" calm
    train --workers 1 --output split --steps 37
    train --resume split --steps 100 --workers 3
    same_as_calm split
}

@test "so does one whose bold driver rolls back" {
    data_of digits
    train --workers 2 --output calm --set training.bold_driver.rollback=true --steps 60
    train --workers 2 --output split --set training.bold_driver.rollback=true --steps 23
    "$DROVER" train --resume split --steps 60 --workers 2 # with its own config.yaml
    same_as_calm split
}

@test "a run that has ended is left as it is, and says so" {
    data_of digits
    train --workers 1 --output run --steps 5
    before=$(sha256sum run/model.safetensors)
    run -0 train --resume run --steps 5
    [ "$(sha256sum run/model.safetensors)" = "$before" ]
    grep -qxF '  nothing was left to do: the run had ended with step 5' <<<"$output"
    run ! grep 'median step' <<<"$output"
}

@test "an interrupted run goes on" {
    data_of digits
    local steps=$((DROVER_SLOWNESS > 1 ? 150 : 1000)) # not over when it is interrupted
    train --workers 1 --output calm --steps "$steps"
    start_background run "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$data" \
        --workers 2 --output cut --steps "$steps"
    wait_for 30 steps_done cut 20
    signal run INT
    wait_exit 30 run
    expect_status 130
    train --resume cut --workers 2 --steps "$steps"
    same_as_calm cut
}

@test "a damaged checkpoint falls back to the one before" {
    data_of digits
    train --workers 2 --output calm --steps 40
    train --workers 2 --output torn --steps 25
    newest=torn/checkpoint/step-0000000025.safetensors
    truncate -s -1 "$newest"
    run train --resume torn --steps 40 --workers 2
    expect_status 0
    grep -q 'checkpoint.damaged torn/checkpoint/step-0000000025' <<<"$output"
    grep -q 'run.resumed folder=torn step=20' <<<"$output"
    same_as_calm torn
}

@test "checkpoints that cannot be written are no end: the training goes on, the last good ones stay" {
    data_of digits
    local steps=$((DROVER_SLOWNESS > 1 ? 100 : 1000))
    train --workers 1 --output calm --steps "$steps"
    start_server server "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$data" --output out --steps "$steps" \
        --bind "ipc://$work/s" --set checkpoint.every_steps=5
    start_worker one
    wait_for 30 steps_done out 20
    signal server STOP # or it would write between the two
    mv out/checkpoint kept
    ln -s /proc/nowhere out/checkpoint
    signal server CONT
    wait_for_line 30 server ' error checkpoint\.failed step=[0-9]+ out/checkpoint.*: .*'
    run ! has_ended server
    signal server STOP
    [ "$(find kept -name 'step-*.safetensors' | wc -l)" -ge 2 ]
    rm out/checkpoint
    mv kept out/checkpoint
    signal server CONT
    ends_well 60 server
    same_as_calm out
    [ -s "$(printf 'out/checkpoint/step-%010d.safetensors' "$steps")" ]
}

@test "another training is not gone on with" {
    data_of digits
    train --workers 1 --output run --steps 5
    before=$(sha256sum run/model.safetensors)
    for change in training.seed=8 training.sample=0.5 training.block_rows=256 \
        training.learning_rate=0.2 training.bold_driver.up=1.1 "model.layers=[{units: 10, activation: sigmoid}]"; do
        run train --resume run --set "$change"
        expect_status 1
        grep -qE "^drover server: run: its checkpoint is of (other|another) .* than this run's$" <<<"$output"
        [ "$(sha256sum run/model.safetensors)" = "$before" ]
    done
}

# The server has gone on from a checkpoint so many times.
resumed() {
    [ "$(grep -c 'run.resumed' run.log)" -ge "$1" ]
}

@test "a killed server and killed workers are started again, and the bits stay" {
    data_of digits
    local steps=$((DROVER_SLOWNESS > 1 ? 220 : 2000)) # not over before the last kill
    train --workers 2 --output calm --steps "$steps"
    start_background run "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$data" \
        --workers 3 --output killed --steps "$steps"
    for round in 1 2 3; do
        wait_for 30 steps_done killed $((round * 40))
        wait_for 30 kill_child run 'drover worker .* local-1'
        wait_for 30 kill_child run 'drover server'
        wait_for 30 resumed "$round"
    done
    ends_well 60 run
    same_as_calm killed
    [ "$(grep -c 'server.restarted' run.log)" -eq 3 ]
    [ "$(grep -c 'worker.restarted' run.log)" -eq 3 ]
}

@test "a killed server goes on with what the run began with, whatever has become of CONFIG since" {
    data_of digits
    printf 'training: {seed: 9, steps: 2000}\n' >mine.yaml
    start_background run "$DROVER" train mine.yaml --data "$data" --output killed \
        --set training.learning_rate=0.05
    wait_for 30 steps_done killed 20
    printf 'training: {seed: 10, steps: 20}\n' >mine.yaml # for the next experiment
    kill_child run 'drover server'
    wait_for 30 resumed 1
    rm mine.yaml
    wait_for 30 kill_child run 'drover server'
    wait_for 30 resumed 2
    signal run INT
    wait_exit 30 run
    expect_status 130
    grep -qx '  seed: 9' killed/config.yaml
    grep -qx '  steps: 2000' killed/config.yaml
    grep -qx '  learning_rate: 0.05' killed/config.yaml
}

@test "what an earlier run left is not gone on with when the server dies before it has begun" {
    data_of digits
    "$DROVER" train --data "$data" --output run --steps 5
    mkfifo images # the server waits for its data until we give them
    start_background run "$DROVER" train --output run --steps 5 \
        --set data.train_images=images --set "data.train_labels=$data/train-labels-idx1-ubyte" \
        --set training.learning_rate=0.05
    wait_for 30 kill_child run 'drover server'
    wait_for_line 30 run 'server.restarted'
    cat "$data/train-images-idx3-ubyte" >images
    ends_well 60 run
    run ! grep -q 'run.resumed' run.log
    [ "$(metric run learning_rate | head -n 1)" = 0.05 ]
    [ "$(wc -l <run/metrics.jsonl)" -eq 5 ]
}

@test "two runs do not write to one folder" {
    data_of digits
    start_background one "$DROVER" train --data "$data" --output run --steps 100000
    wait_for 30 steps_done run 3
    run "$DROVER" train --data "$data" --output run --steps 5
    expect_status 1
    [ "$output" = 'drover server: run: another run writes there, expected a folder of its own' ]
    run "$DROVER" train --resume run --output elsewhere
    expect_status 2
    [ "$output" = 'drover train: --resume run goes on in that folder; expected no other output' ]
    steps=$(wc -l <run/metrics.jsonl)
    wait_for 30 steps_done run $((steps + 3)) # the first goes on
    signal one INT
    wait_exit 30 one
    expect_status 130
}
