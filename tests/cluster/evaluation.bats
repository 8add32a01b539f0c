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
    refused "data.validation: 0.0001 of each class's rows is less than one row of 1500" \
        train --output out --set data.validation=0.0001
    refused "data.validation" train --output out --set data.validation=1
    [ ! -e out ]
}

@test "validation: a worker with data of its own takes part, and so does one behind a relay" {
    train --output one --steps 20
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out --steps 20 "${settings[@]}" \
        --bind "ipc://$work/s" --set server.min_workers=2
    start_worker own --data "$BATS_FILE_TMPDIR/digits"
    start_background relay "$DROVER" relay "$endpoint" --bind "ipc://$work/r" --data "$BATS_FILE_TMPDIR/digits"
    endpoint=ipc://$work/r start_worker below --data "$BATS_FILE_TMPDIR/digits"
    for each in server own relay below; do
        wait_exit 60 "$each"
        expect_status 0
    done
    cmp one/model.safetensors out/model.safetensors
    # other rows than those that the job was cut from are refused, as ever
    start_server other --data "$BATS_FILE_TMPDIR/digits" --output out2 --steps 2 "${settings[@]}" \
        --bind "ipc://$work/o" --set data.train_rows=1400
    start_worker wrong --data "$BATS_FILE_TMPDIR/digits"
    wait_exit 30 wrong
    expect_status 1
    start_worker right
    wait_exit 30 other
    expect_status 0
}
