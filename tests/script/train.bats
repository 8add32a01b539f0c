#!/usr/bin/env bats
# scripts/train and scripts/main_task: which data they take and what they hand to drover, by a copy of
# the scripts beside a drover that notes its calls. That the real one trains is tests/cluster's part.
load ../helpers

test_setup() {
    mkdir -p repo/scripts repo/build/release/cli repo/config
    cp "$DROVER_SOURCE_DIR"/scripts/{lib.sh,train,main_task} repo/scripts
    stub cmake
    stub nproc 'echo 3'
    stub drover '
case $2 in
fetch) exit ${fetch_status:-0} ;;
synth) mkdir -p "$3" && touch "$3"/{train-images,train-labels,t10k-images,t10k-labels}.gz ;;
esac'
    mv stubs/drover repo/build/release/cli/drover
    cores=3
    train=$work/repo/scripts/train
    cache=$work/cache/drover
    export DROVER_SKIP_SETUP=1 XDG_CACHE_HOME=$work/cache fetch_status=0
    unset DROVER_DATA
}

# mnist_in FOLDER: four files with MNIST's names.
mnist_in() {
    mkdir -p "$1"
    touch "$1"/{train,t10k}-images-idx3-ubyte.gz "$1"/{train,t10k}-labels-idx1-ubyte.gz
}

# trained_on FOLDER: drover train was called once, with this data.
trained_on() {
    cat calls
    [ "$(grep -c '^drover train' calls)" -eq 1 ]
    grep -qF -- " --data $1 --workers $cores --output " calls
}

@test "--data goes before DROVER_DATA" {
    DROVER_DATA=$work/other run "$train" --data "$work/given"
    [ "$status" -eq 0 ]
    trained_on "$work/given"
    run ! grep -q '^drover data' calls
    run "$train" --data="$work/given again"
    grep -qF -- "--data $work/given again --workers" calls
}

@test "DROVER_DATA goes before the cache" {
    mnist_in "$cache/mnist"
    DROVER_DATA=$work/other run "$train"
    trained_on "$work/other"
    run ! grep -q '^drover data' calls
}

@test "the cache is used when the four files are there" {
    mnist_in "$cache/mnist"
    run "$train"
    trained_on "$cache/mnist"
    run ! grep -q '^drover data' calls
}

@test "an incomplete cache is fetched" {
    mnist_in "$cache/mnist"
    rm "$cache"/mnist/t10k-labels*
    run "$train"
    [ "$status" -eq 0 ]
    grep -qxF "drover data fetch $cache/mnist" calls
    trained_on "$cache/mnist"
    [[ $output != *NOTICE* ]]
}

@test "without a network it draws digits, says so and draws them once" {
    export fetch_status=1
    run "$train"
    [ "$status" -eq 0 ]
    grep -qxF "drover data synth $cache/synth" calls
    trained_on "$cache/synth"
    [[ $output == *NOTICE*DRAWN*"--data"*DROVER_DATA* ]]
    : >calls
    run "$train"
    [[ $output == *NOTICE* ]]
    run ! grep -q '^drover data synth' calls
    trained_on "$cache/synth"
}

@test "Ctrl-C in the download ends it" {
    export fetch_status=130
    run "$train"
    [ "$status" -eq 130 ]
    run ! grep -qE '^drover (train|data synth)' calls
}

@test "further flags go to drover train as they are" {
    run "$train" "$work/my config.yaml" --steps 20 --data d --workers 7 --output "out put" --set a=b
    grep -qxF "drover train $work/my config.yaml --data d --workers 7 --output out put --steps 20 --set a=b" calls
}

@test "the default config and output folder" {
    run "$train" --data d
    grep -qE "^drover train $work/repo/config/mnist.yaml .* --output $work/repo/runs/[0-9]{8}-[0-9]{6}$" calls
}

@test "a failing build stops it" {
    stub cmake 'echo "cmake says no"; exit 1'
    run "$train" --data d
    [ "$status" -eq 1 ]
    [[ $output == *"cmake says no"*"the build failed"* ]]
    run ! grep -q '^drover' calls
}

@test "a flag without its value is an error of usage" {
    run "$train" --data
    [ "$status" -eq 2 ]
}

@test "main_task hands the four files over by role" {
    run "$work/repo/scripts/main_task" a b c d out
    [ "$status" -eq 0 ]
    grep -qxF "drover train $work/repo/config/mnist.yaml --set data.train_images=a --set data.train_labels=b --set data.test_images=c --set data.test_labels=d --workers 3 --output out" calls
    run "$work/repo/scripts/main_task" a b c
    [ "$status" -eq 2 ]
    [[ $output == *"5 arguments expected, 3 given"* ]]
}
