# Networks of all kinds of layers: trained by any workers to the same bytes, gone on with, and used.
load ../helpers
load cluster

convolutions='[{conv: {filters: 6, size: 5, stride: 2}, activation: relu, dropout: 0.1},
  {max_pool: {size: 2}}, {conv: {filters: 8, padding: 1}, activation: leaky_relu},
  {units: 24, activation: gelu, dropout: 0.5}, {units: 10, activation: softmax}]'
dense='[{units: 40, activation: relu, dropout: 0.2}, {units: 20, activation: gelu},
  {units: 10, activation: softmax}]'

setup_file() { "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 1500 --test-rows 300; }

test_setup() { data=$BATS_FILE_TMPDIR/digits; }

# options LAYERS: of the training of that network.
options() {
    options=(--data "$data" --steps 12 --set "model.layers=$1" --set model.init=he
        --set model.loss=cross_entropy --set model.class_weights=balanced
        --set training.block_rows=64 --set checkpoint.every_steps=5)
}

# train LAYERS OUTPUT ARGUMENT...
train() {
    options "$1"
    "$DROVER" train "${options[@]}" --output "$2" "${@:3}"
}

# resume LAYERS FOLDER ARGUMENT...
resume() {
    options "$1"
    "$DROVER" train "${options[@]}" --resume "$2" "${@:3}"
}

# accuracy FOLDER: on the test set.
accuracy() {
    "$DROVER" evaluate "$1" "$data" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["accuracy"])'
}

# refused TEXT COMMAND...: ends with a failure and that line.
refused() {
    run "${@:2}"
    echo "$output"
    [ "$status" -ne 0 ]
    [[ ${lines[-1]} == *"$1"* ]]
}

@test "dense layers: the same bytes for any workers and threads, and after a resume" {
    train "$dense" one --workers 1
    train "$dense" three --workers 3
    train "$dense" threads --workers 1 --threads 3
    train "$dense" half --workers 2 --steps 6
    resume "$dense" half --workers 2
    same_run one three threads half
    for kernel in c avx2; do
        DROVER_SIMD=$kernel train "$dense" "$kernel" --workers 1
        same_run one "$kernel"
    done
}

@test "convolutions: the same bytes for any workers and threads, by both kernels" {
    convolve() { train "$convolutions" "$@" --steps 6; }
    for kernel in dense sparse; do
        convolve "$kernel-1" --workers 1 --set numerics.kernel="$kernel"
        convolve "$kernel-3" --workers 3 --set numerics.kernel="$kernel"
        convolve "$kernel-t" --threads 2 --set numerics.kernel="$kernel"
        same_run "$kernel"-{1,3,t}
    done
    DROVER_SIMD=avx2 convolve sparse-2 --set numerics.kernel=sparse
    same_run sparse-1 sparse-2
    # which of them is not asked for: a product of patches has no zeros to leave out
    convolve auto
    same_run dense-1 auto
}

@test "batches by permutation: the same bytes for any workers, by both kernels, and after a resume" {
    for kernel in dense sparse; do
        local batch=(--set training.batch_rows=400 --set numerics.kernel="$kernel")
        train "$dense" "$kernel-1" --workers 1 "${batch[@]}"
        train "$dense" "$kernel-3" --workers 3 "${batch[@]}"
        train "$dense" "$kernel-half" --threads 2 --steps 6 "${batch[@]}"
        resume "$dense" "$kernel-half" --workers 2 "${batch[@]}"
        same_run "$kernel"-{1,3,half}
        # 1500 rows: three steps of 400 and one of the rest are an epoch
        [ "$("$python" -c 'import json, sys
print([json.loads(line)["rows"] for line in open(sys.argv[1])][:5])' "$kernel-3/metrics.jsonl")" \
            = "[400, 400, 400, 300, 400]" ]
    done
    refused "its checkpoint is of another training.batch_rows" resume "$dense" sparse-1 \
        --set training.batch_rows=0
    refused "training.batch_rows: 1501, expected at most the 1500 rows to train on" \
        train "$dense" out --set training.batch_rows=1501
}

@test "a network of convolutions learns, is evaluated and classifies" {
    local steps=60 least=0.9
    [ "$DROVER_SLOWNESS" -eq 1 ] || steps=16 least=0.6 # the bits are the other build's, which goes on
    train "$convolutions" out --steps "$steps" --workers 2 --set training.sample=1
    awk -v a="$(accuracy out)" -v least="$least" 'BEGIN { print "accuracy", a; exit !(a >= least) }'
    run -0 "$DROVER" predict out "$data/t10k-images-idx3-ubyte" --json
    [ "$("$python" -c 'import json, sys; print(len(json.load(sys.stdin)))' <<<"$output")" -eq 300 ]
}

@test "networks that cannot be" {
    local last='{units: 10, activation: softmax}'
    refused "layer 1: pool of size 29 is larger than its input of 28 x 28" \
        train "[{max_pool: {size: 29}}, $last]" out
    refused "layer 2: convolution of size 5 is larger than its input of 4 x 4" \
        train "[{max_pool: {size: 7}}, {conv: {filters: 2, size: 5}, activation: relu}, $last]" out
    refused "loss cross_entropy behind sigmoid, expected softmax in the last layer" \
        train '[{units: 10, activation: sigmoid}]' out
    refused "layer 1 has no activation, expected one, such as tanh or relu" \
        train "[{units: 4}, $last]" out
    refused "layer 1 is a pool with an activation, expected none" \
        train "[{max_pool: {size: 2}, activation: relu}, $last]" out
    refused "layer 1 has more than one of units, conv.filters and max_pool.size; expected one" \
        train "[{units: 4, conv: {filters: 2}, activation: relu}, $last]" out
    refused "model.class_weights: '1, 2', expected balanced or 10 numbers with commas between" \
        train "[$last]" out --set 'model.class_weights="1, 2"'
    refused "model.class_weights: class 3 has the weight 0, expected above 0" \
        train "[$last]" out --set 'model.class_weights="1,1,1,0,1,1,1,1,1,1"'
    refused "is not a choice; expected none, tanh" train '[{units: 10, activation: swish}]' out
}

@test "a run of another network is not gone on with" {
    train "$dense" out --steps 5
    refused "its checkpoint is of another network" resume "${dense/0.2/0.3}" out
    refused "its checkpoint is of another network" resume "$dense" out --set model.class_weights=
}
