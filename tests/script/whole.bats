#!/usr/bin/env bats
# scripts/train and scripts/main_task with the real program, on a small set of drawn digits. They
# build the release preset, which is there already when the tests run in it.
load ../helpers

setup_file() {
    export drawn=$BATS_FILE_TMPDIR/drawn
    "${DROVER:?}" data synth "$drawn" --train-rows 2000 --test-rows 300
}

test_setup() {
    export DROVER_SKIP_SETUP=1
}

@test "train makes the output folder and says where the pictures are" {
    DROVER_DATA=$drawn run "$DROVER_SOURCE_DIR/scripts/train" --output out --steps 3
    echo "$output"
    [ "$status" -eq 0 ]
    local file
    for file in cost_history.png accuracy_history.png confusion.png digits.png mistakes.png model.safetensors; do
        [ -s "out/$file" ]
        grep -qF "out/$file" <<<"$output"
    done
    grep -qE 'test accuracy +0\.' <<<"$output"
    [ "$(wc -l <out/metrics.jsonl)" -ge 3 ]
}

@test "main_task trains on CSV files to the same bytes as train on IDX files" {
    "$DROVER" data to-csv "$drawn" csv
    run "$DROVER_SOURCE_DIR/scripts/main_task" csv/train_images.csv csv/train_labels.csv \
        csv/test_images.csv csv/test_labels.csv out
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(wc -l <out/cost_history/part-00000)" -eq 100 ]
    "$DROVER_SOURCE_DIR/scripts/train" --data "$drawn" --output idx
    cmp out/model.safetensors idx/model.safetensors
}
