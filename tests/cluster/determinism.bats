# The same bits: model.safetensors of a run does not depend on who computed it, on how the workers
# were reached, nor on the format of the data; it does on the seed.
load ../helpers
load cluster

# 24 whole blocks and one that is cut off, so that the tree is.
settings=(--set training.block_rows=240 --set training.steps=25)
# A run long enough to join and to leave; an instrumented build is slow by itself.
long=(--set training.block_rows=240 --set training.steps=$((DROVER_SLOWNESS > 1 ? 100 : 300)))

setup_file() {
    make_data 6000
    train_each run "${settings[@]}"
    train_each long "${long[@]}"
}

# same_as KIND FOLDER: the run is that of one worker alone, and no partial was refused.
same_as() {
    local wanted=$BATS_FILE_TMPDIR/$name.$1
    same_run "$wanted" "$2"
    [ "$(metric "$2" refused | sort -u)" = 0 ]
}

train() {
    "$DROVER" train --data "$data" --output out "${settings[@]}" "$@" >train.out 2>&1 || {
        cat train.out
        return 1
    }
}

# all_took_part N: each step had N workers.
all_took_part() {
    [ "$(metric out workers | sort -u)" = "$1" ]
}

any_number_of_workers() {
    name=$1
    data_of "$name"
    for workers in 2 3 7; do
        train --workers "$workers" --set server.min_workers="$workers"
        all_took_part "$workers"
        same_as run out
    done
}

@test "2, 3 and 7 workers (digits)" { any_number_of_workers digits; }
@test "2, 3 and 7 workers (MNIST)" { any_number_of_workers mnist; }

threads() {
    name=$1
    data_of "$name"
    for workers in 1 3; do
        train --workers "$workers" --threads 2 --set server.min_workers="$workers"
        same_as run out
    done
}

@test "2 threads a worker (digits)" { threads digits; }
@test "2 threads a worker (MNIST)" { threads mnist; }

tcp() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${settings[@]}" --bind 'tcp://127.0.0.1:*' \
        --set server.min_workers=2
    start_worker one
    start_worker two --threads 2
    ends_well 60 server one two
    all_took_part 2
    same_as run out
}

@test "tcp (digits)" { tcp digits; }
@test "tcp (MNIST)" { tcp mnist; }

# A worker with its own copy of the data beside one that fetches.
local_data() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control" \
        --set server.min_workers=2
    cp -r "$data" copy
    start_worker own --data copy
    start_worker fetching
    ends_well 60 server
    ends_well 10 own
    all_took_part 2
    same_as run out
}

@test "a worker with its own data (digits)" { local_data digits; }
@test "a worker with its own data (MNIST)" { local_data mnist; }

# One worker trains, a second joins when step 30 or some more are done, the first leaves 30 steps after
# that. It stands still while the second joins, so that the run cannot be over before.
join_and_leave() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${long[@]}" --bind "ipc://$work/control"
    start_worker first
    wait_for 60 steps_done out 30
    signal first STOP
    start_worker second
    wait_for_line 20 server 'worker\.joined name=second .*workers=2'
    both=$(($(wc -l <out/metrics.jsonl) + 30))
    signal first CONT
    wait_for 60 steps_done out "$both"
    signal first TERM
    ends_well 10 first
    ends_well 60 server
    grep -q 'worker\.left name=first workers=1' server.log
    metric out workers >counts
    [ "$(head -n 30 counts | sort -u)" = 1 ]
    [ "$(sed -n "${both}p" counts)" = 2 ]
    [ "$(tail -n 1 counts)" = 1 ]
    same_as long out
}

@test "a worker joins after step 30, another leaves 30 steps later (digits)" { join_and_leave digits; }
@test "a worker joins after step 30, another leaves 30 steps later (MNIST)" { join_and_leave mnist; }

# Killed in the middle: not a word of farewell, and maybe half of its partials sent.
killed() {
    name=$1
    data_of "$name"
    start_server server --data "$data" --output out "${long[@]}" --bind "ipc://$work/control" \
        --set server.min_workers=3
    start_worker one
    start_worker two
    start_worker three --threads 2
    wait_for 60 steps_done out 20
    kill_now two
    wait_for 60 steps_done out 40
    kill_now three
    ends_well 60 server
    [ "$(metric out reissued | paste -sd+ | bc)" -gt 0 ]
    same_as long out
}

@test "workers killed in the middle (digits)" { killed digits; }
@test "workers killed in the middle (MNIST)" { killed mnist; }

# The server too: started again, it goes on from its newest checkpoint.
server_killed() {
    name=$1
    data_of "$name"
    start_background train "$DROVER" train --data "$data" --workers 2 --output out "${long[@]}"
    wait_for 60 steps_done out 25
    kill_child train 'drover server'
    ends_well 60 train
    grep -qE ' run\.resumed folder=out step=([2-9]|[12][0-9])0$' train.log
    same_as long out
}

@test "the server is killed in the middle (digits)" { server_killed digits; }
@test "the server is killed in the middle (MNIST)" { server_killed mnist; }

csv() {
    name=$1
    data_of "$name"
    "$DROVER" data to-csv "$data" text
    "$DROVER" train --workers 2 --output out "${settings[@]}" \
        --set data.train_images=text/train_images.csv --set data.train_labels=text/train_labels.csv \
        --set data.test_images=text/test_images.csv --set data.test_labels=text/test_labels.csv
    same_as run out
    cmp "$BATS_FILE_TMPDIR/$name.run/evaluation.json" out/evaluation.json
}

@test "CSV instead of IDX (digits)" { csv digits; }
@test "CSV instead of IDX (MNIST)" { csv mnist; }

@test "the first rows of a longer set" {
    data_of mnist
    name=mnist data=$DROVER_DATA
    train --workers 2 --set data.train_rows=6000
    same_as run out
}

another_seed() {
    name=$1
    data_of "$name"
    train --workers 2 --set training.seed=4
    run ! cmp -s "$BATS_FILE_TMPDIR/$name.run/model.safetensors" out/model.safetensors
    # and not for the seed in its metadata alone
    run ! cmp -s <(tail -c 200000 "$BATS_FILE_TMPDIR/$name.run/model.safetensors") \
        <(tail -c 200000 out/model.safetensors)
    run ! cmp -s "$BATS_FILE_TMPDIR/$name.run/cost_history/part-00000" out/cost_history/part-00000
}

@test "another seed gives other bits (digits)" { another_seed digits; }
@test "another seed gives other bits (MNIST)" { another_seed mnist; }

# tensors_sum FILE: the sha256 of the tensors, without the metadata.
tensors_sum() {
    local header
    header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c "+$((9 + header))" "$1" | sha256sum | cut -d ' ' -f 1
}

# What is added to drover must not change what was trained before. These are the weights of the
# origin's experiment since there is a sparse kernel.
@test "the weights of the origin's experiment stay what they were" {
    [ "$DROVER_SLOWNESS" -eq 1 ] || skip "other tests have an instrumented build do the same"
    data_of digits
    origin() {
        "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$data" --output out \
            --set numerics.kernel=sparse "$@"
        tensors_sum out/model.safetensors >sum
    }
    origin
    [ "$(cat sum)" = 82433a850e6c5295ef35b46a9384c4a271dc57c1d3b39e51f7618a1c861fc4b0 ]
    origin --set training.bold_driver.rollback=true
    [ "$(cat sum)" = ce4a6eedba81b7cccfb8174937432753381e07d6c0bf07fe7a31c7bd339554ae ]
}
