#!/usr/bin/env bats
# Drawn digits are worth training on: the origin's network learns them.
load ../helpers

@test "100 steps on drawn digits reach 95 % on fresh ones" {
    "$DROVER" data synth digits --train-rows 10000 --test-rows 5000
    "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data digits --workers 2 --output out
    accuracy=$("$DROVER" evaluate out digits --json | grep -o '"accuracy": [0-9.]*' | cut -d' ' -f2)
    echo "accuracy $accuracy"
    awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.95 && a <= 1) }'
    # drawn from another seed, so that none of them was seen
    "$DROVER" data synth fresh --train-rows 1 --test-rows 5000 --seed 12345
    accuracy=$("$DROVER" evaluate out fresh --json | grep -o '"accuracy": [0-9.]*' | cut -d' ' -f2)
    echo "accuracy $accuracy"
    awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.95 && a <= 1) }'
}

@test "the other configs train, too" {
    local config
    "$DROVER" data synth digits --train-rows 1200 --test-rows 50
    for config in fast best-mlp cnn; do
        "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist-$config.yaml" --data digits --output "$config" \
            --steps 20 --set training.schedule.warmup_steps=2
        # cross-entropy begins at log 10 or above
        sed 's/.*"cost": \([^,]*\).*/\1/' "$config/metrics.jsonl" | awk '
            NR == 1 { first = $1 } { last = $1 } END { exit !(NR == 20 && first > 2.1 && last < first / 2) }'
    done
}

# has_threads WORKERS THREADS COMMAND...: the command's workers, so many, are started with so many
# threads each.
has_threads() {
    local workers=$1 threads=$2
    shift 2
    "$@" "$DROVER" train --data digits --workers "$workers" --steps 3 --output "out-$threads-$workers" 2>log
    grep -q " worker\.joined .* threads=$threads " log
    [ "$(grep -c ' worker\.joined ' log)" -eq "$(grep -c " worker\.joined .* threads=$threads " log)" ]
}

@test "workers share out the CPUs that they may use, with a thread each at least" {
    local cpus first
    cpus=$(nproc)
    first=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
    "$DROVER" data synth digits --train-rows 1200 --test-rows 50
    has_threads 1 "$cpus" env
    has_threads 2 "$((cpus < 4 ? 1 : cpus / 2))" env
    has_threads 2 1 taskset -c "$first"
}
