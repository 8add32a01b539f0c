# Two steps of a real run against NumPy: one_step.py says what is compared and how.
load ../helpers
load ../cluster/cluster

# check_steps KERNEL IMAGES LABELS SEED FRACTION BLOCK_ROWS
check_steps() {
    local kernel=$1
    shift
    rm -rf out
    "$DROVER" train --workers 2 --output out --set data.train_images="$1" --set data.train_labels="$2" \
        --set training.seed="$3" --set training.sample="$4" --set training.block_rows="$5" \
        --set numerics.kernel="$kernel" \
        --set training.steps=2 --set checkpoint.every_steps=1
    "$python" "$DROVER_SOURCE_DIR/tests/golden/one_step.py" "$DROVER_BINARY_DIR/tests/dump_step" \
        "$1" "$2" out "$3" "$4" "$5" "$kernel"
}

# file_of ROLE: the training set's file in DROVER_DATA, plain or compressed.
file_of() {
    local path=$DROVER_DATA/train-$1-ubyte
    [ -e "$path" ] || path=$path.gz
    echo "$path"
}

@test "two steps are NumPy's (digits)" {
    "$DROVER" data synth digits --train-rows 3000 --test-rows 10
    local kernel digits=(digits/train-images-idx3-ubyte digits/train-labels-idx1-ubyte)
    for kernel in dense sparse; do
        check_steps $kernel "${digits[@]}" 1 0.7 512
        # a seed of 64 bits, a batch that is small, a tree that is cut off
        check_steps $kernel "${digits[@]}" 18446744073709551557 0.05 100
    done
}

@test "two steps are NumPy's (MNIST)" {
    need_mnist
    [ "$DROVER_SLOWNESS" -eq 1 ] || skip "an instrumented build has run it on drawn digits"
    check_steps sparse "$(file_of images-idx3)" "$(file_of labels-idx1)" 1 0.7 512
    check_steps dense "$(file_of images-idx3)" "$(file_of labels-idx1)" 1 0.7 512
}
