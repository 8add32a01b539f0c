# Faults on purpose: whatever is injected, a run ends with the calm run's bits.
load ../helpers
load cluster
load chaos

settings=(--set training.block_rows=240 --set training.steps=60 --set checkpoint.every_steps=5)

setup_file() {
    make_data 6000
    train_each run "${settings[@]}"
}

every_fault() {
    local kill=0.3
    [ "$DROVER_SLOWNESS" -eq 1 ] || kill=0.05 # a server needs longer to its first checkpoint
    data_of "$1"
    rehearse run 4 "seed=7,kill=$kill,stall=0.3:300ms,drop=0.02,delay=0.05:100ms,duplicate=0.02,corrupt=0.02" \
        --data "$data" "${settings[@]}"
    same_as_calm "$BATS_FILE_TMPDIR/$1.run" run
    injected_at_least run kills=1 stalls=1 drops=1 delays=1 duplicates=1 corruptions=1
    [ "$(grep -c ' chaos\.kill ' run.log)" -eq "$(injected run kills)" ]
    [ "$(grep -c ' chaos\.stall ' run.log)" -eq "$(injected run stalls)" ]
    run ! grep -E 'worker\.(died|failed)|server\.died' run.log
}

@test "every fault at once (digits)" { every_fault digits; }
@test "every fault at once (MNIST)" { every_fault mnist; }

@test "one message in fifty is lost" {
    data_of digits
    rehearse run 4 seed=3,drop=0.02 --data "$data" "${settings[@]}"
    same_as_calm "$BATS_FILE_TMPDIR/digits.run" run
    injected_at_least run drops=20
    [ "$(metric run workers | tail -n 1)" = 4 ] # whatever of their joining was lost
    [ "$(injected run kills)" -eq 0 ]
}

# Messages of workers and a server that were started by themselves are at risk as well.
@test "a server and workers with plans of their own" {
    data_of digits
    start_server server --data "$data" --output out "${settings[@]}" --bind "ipc://$work/control" \
        --set server.min_workers=2 --chaos drop=0.05
    start_worker one --chaos seed=8,delay=0.1:20ms
    start_worker two --chaos corrupt=0.1,duplicate=0.1
    ends_well 60 server
    injected_at_least server drops=1
    same_as_calm "$BATS_FILE_TMPDIR/digits.run" out
    # a worker may miss that the training is over
    for process in one two; do
        signal "$process" TERM 2>/dev/null || true
        ends_well 20 "$process"
    done
    injected_at_least one delays=1
    injected_at_least two corruptions=1 duplicates=1
    grep -q ' chaos.plan process=one plan=seed=8,delay=0.1:20ms$' one.log
}

@test "a server that is killed all the time is not given up" {
    data_of digits
    start_background run "$DROVER" train --data "$data" --output out --chaos kill=10 "${settings[@]}" \
        --set training.steps=100000 # it is not done before
    restarted() { [ "$(grep -c 'server\.restarted' run.log)" -ge "$1" ]; }
    wait_for 30 restarted 12 # a server that crashes by itself is given up after ten in a row
    run ! grep 'given up' run.log
    signal run TERM
    wait_exit 20 run
    expect_status 143
    wait_for 10 group_gone run
}

@test "plans that cannot be" {
    data_of digits
    refused() {
        run -2 "$DROVER" "${@:2}"
        [ "$output" = "drover $2: --chaos: $1" ]
    }
    refused "drop: '1.5' is out of range; expected 0 to 1" train --data "$data" --output out --chaos drop=1.5
    refused "delay: the time '200'; expected a whole number and its unit, ms or s, such as 200ms" \
        server --data "$data" --output out --chaos delay=0.1:200
    local done_by='is done by drover train, which starts its processes again; expected drop, delay, duplicate or corrupt'
    refused "kill $done_by" server --data "$data" --output out --chaos kill=0.1,drop=0.1
    refused "stall $done_by" worker "ipc://$work/none" --chaos stall=0.1
    refused "kill $done_by" relay "ipc://$work/none" --chaos kill=0.1
    [ ! -e out ]
}
