# Five steps of each optimizer and schedule against NumPy: optimizers.py says what is compared and how.
load ../helpers
load ../cluster/cluster

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 1500 --test-rows 10
}

# check_steps KEY=VALUE...: settings below `training`. The run goes on from each of its checkpoints, so
# that all are there to compare and resuming is in it.
check_steps() {
    local digits=$BATS_FILE_TMPDIR/digits steps=5 step settings=()
    for step in "$@"; do
        settings+=(--set "training.$step")
    done
    mkdir -p out/checkpoints
    for ((step = 1; step <= steps; step++)); do
        "$DROVER" train --workers 2 --data "$digits" "$([ $step = 1 ] && echo --output || echo --resume)" out \
            --set training.seed=5 --set numerics.kernel=sparse --set training.schedule.kind=constant \
            --set training.schedule.steps=$steps "${settings[@]}" --steps $step
        cp "$(printf 'out/checkpoint/step-%010d.safetensors' $step)" out/checkpoints/$step
    done
    "$python" "$DROVER_SOURCE_DIR/tests/golden/optimizers.py" "$DROVER_BINARY_DIR/tests/dump_step" \
        "$digits/train-images-idx3-ubyte" "$digits/train-labels-idx1-ubyte" out 5 0.7 512 sparse $steps "$@"
}

@test "gradient descent with L1, L2 and an average" {
    check_steps learning_rate=0.5 l1=0.002 l2=0.05 ema=0.8
}

@test "momentum, in steps behind a warm-up" {
    check_steps optimizer=momentum learning_rate=0.3 momentum=0.8 schedule.kind=step \
        schedule.warmup_steps=2 schedule.every_steps=2 schedule.factor=0.3
}

@test "Nesterov, clipped, exponential" {
    check_steps optimizer=nesterov learning_rate=0.5 schedule.kind=exponential schedule.every_steps=3 \
        schedule.factor=0.4 clip_norm=0.05
}

@test "Adam with L2 and an average, cosine" {
    check_steps optimizer=adam learning_rate=0.01 l2=0.01 ema=0.9 schedule.kind=cosine \
        schedule.final_rate=0.002
}

@test "AdamW, clipped, with a warm-up and cosine" {
    check_steps optimizer=adamw learning_rate=0.02 weight_decay=0.5 beta1=0.7 beta2=0.95 epsilon=1e-4 \
        clip_norm=0.02 schedule.kind=cosine schedule.warmup_steps=2
}
