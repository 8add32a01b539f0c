# Altered images: the same bytes for any workers, through faults and resuming.
load ../helpers
load cluster

network='[{conv: {filters: 4, size: 5, stride: 2}, activation: relu}, {max_pool: {size: 2}},
  {units: 16, activation: relu, dropout: 0.2}, {units: 10, activation: softmax}]'
all=(--set augmentation.shift=2 --set augmentation.rotation=12 --set augmentation.scale=0.1
    --set augmentation.shear=0.1 --set augmentation.elastic.alpha=34)

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 800 --test-rows 100 --seed 3
}

test_setup() {
    options=(--data "$BATS_FILE_TMPDIR/digits" --set training.block_rows=64 --set "model.layers=$network"
        --set model.loss=cross_entropy --set model.init=he --set numerics.kernel=sparse)
}

# train OUTPUT ARGUMENT...
train() { "$DROVER" train "${options[@]}" "${all[@]}" --output "$@"; }

@test "convolutions: 1, 2 and 5 workers, one of which is killed, end with the same bytes" {
    local steps=$((DROVER_SLOWNESS > 1 ? 20 : 150)) # not over before the kill
    train one --workers 1 --steps $steps
    train two --workers 2 --threads 2 --steps $steps
    same_run one two
    start_background train "$DROVER" train "${options[@]}" "${all[@]}" --output five --workers 5 --steps $steps
    wait_for 30 steps_done five 5
    kill_child train 'drover worker .* local-3'
    ends_well 60 train
    grep -q 'worker.restarted name=local-3' train.log
    same_run one five
}

@test "so they do by a server that is killed and goes on, and behind a relay" {
    local job=("${options[@]}" "${all[@]}" --steps $((DROVER_SLOWNESS > 1 ? 20 : 150)) --set checkpoint.every_steps=5)
    "$DROVER" train "${job[@]}" --output calm
    start_background killed "$DROVER" train "${job[@]}" --output split --workers 2
    wait_for 30 steps_done split 7
    kill_child killed 'drover server'
    ends_well 60 killed
    grep -q 'server.restarted' killed.log
    same_run calm split
    start_server server "${job[@]}" --set server.bind='tcp://127.0.0.1:*' --output above
    start_relay relay "$endpoint" --bind 'tcp://127.0.0.1:*'
    start_worker below
    ends_well 60 server
    same_run calm above
}

@test "lists of altered rows: samples and batches, of 1 and 3 workers, and after a resume on lesser instructions" {
    local batch
    options+=(--set 'model.layers=[{units: 24, activation: tanh}, {units: 10, activation: softmax}]' --steps 8)
    for batch in 0 500; do
        train "one-$batch" --set "training.batch_rows=$batch"
        train "three-$batch" --set "training.batch_rows=$batch" --workers 3
        same_run "one-$batch" "three-$batch"
    done
    train half --steps 4
    DROVER_SIMD=c "$DROVER" train --resume half --steps 8 --workers 2
    same_run one-0 half
}

@test "every setting counts, and one that has changed is not gone on with" {
    local key first
    options+=(--steps 1)
    train run
    for key in shift rotation scale shear elastic.alpha elastic.sigma; do
        train other --set "augmentation.$key=0.6"
        run cmp run/model.safetensors other/model.safetensors
        expect_status 1
        run "$DROVER" train --resume run --steps 2 --set "augmentation.$key=0.6"
        expect_status 1
        [ "${lines[-1]}" = "drover server: run: its checkpoint is of another augmentation.$key than this run's" ]
    done
    # a run without goes on without, whatever the sigma that is not used
    "$DROVER" train "${options[@]}" --output plain
    [ "$(cat run/cost_history/part-00000)" != "$(cat plain/cost_history/part-00000)" ]
    run "$DROVER" train --resume plain --steps 2 --set augmentation.shear=0.1
    expect_status 1
    [ "${lines[-1]}" = "drover server: plain: its checkpoint is of another augmentation.shear than this run's" ]
    "$DROVER" train --resume plain --steps 2 --set augmentation.elastic.sigma=9
    # what is evaluated is not altered
    "$DROVER" evaluate run "$BATS_FILE_TMPDIR/digits" --json >seen.json
    cmp run/evaluation.json seen.json
}
