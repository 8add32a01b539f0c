#!/usr/bin/env bats
# Server and workers on hosts of their own, and a network that fails between them: the run goes on
# with those that are reached, the others come back by themselves, and the bits stay. A worker is
# stopped where the run would be over before what the test waits for.
load ../helpers
load cluster
load netns

# 25 blocks; a learning rate that stays, so that each step counts.
settings=(--set training.block_rows=240 --set training.steps=$((DROVER_SLOWNESS > 1 ? 150 : 600))
    --set training.bold_driver.up=1 --set training.bold_driver.down=0.999)

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 6000 --test-rows 300 --seed 3
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --output "$BATS_FILE_TMPDIR/calm" \
        "${settings[@]}"
}

# A server and two workers, which know nothing but the server's address, at work.
test_setup() {
    data=$BATS_FILE_TMPDIR/digits
    net_up server one two
    start_on server server "$DROVER" server --data "$data" --output out "${settings[@]}" \
        --bind tcp://0.0.0.0:5570 --set server.min_workers=2
    wait_for_line 20 server ' server\.bound endpoint='
    for name in one two; do
        start_on "$name" "$name" "$DROVER" worker "tcp://${address[server]}:5570" --name "$name"
    done
    wait_for 30 steps_done out 20
}

test_teardown() { net_down; }

# said N REGEX [NAME]: so many lines of NAME's log (the server's) match.
said() {
    [ "$(grep -cE -- "$2" "${3:-server}.log")" -ge "$1" ]
}

# The run does some further steps.
goes_on() {
    local n
    n=$(wc -l <out/metrics.jsonl)
    wait_for 30 steps_done out $((n + 5))
}

# ends PROCESS...: they end with success, and the run with the bits of the calm one.
ends() {
    ends_well 60 "$@"
    same_run "$BATS_FILE_TMPDIR/calm" out
    [ "$(metric out refused | sort -u)" = 0 ]
}

@test "three hosts" {
    ends server one two
    [ "$(metric out workers | sort -u)" = 2 ]
}

# loses_one UNPLUG PLUG: by these means.
loses_one() {
    "$1" one
    goes_on
    signal two STOP
    wait_for 30 said 1 'worker\.lost name=one '
    "$2" one
    wait_for 30 said 2 'worker\.joined name=one '
    goes_on
    signal two CONT
    ends server one
    signal two TERM 2>/dev/null || true # for so long it was stopped that it may have missed the end
    ends_well 10 two
    [ "$(metric out reissued | paste -sd+ | bc)" -gt 0 ]
}

@test "a worker's cable is pulled and plugged in again" { loses_one unplug plug; }
@test "a worker's packets are lost for a while" { loses_one cut_off mend; }

@test "all workers' cables are pulled, and plugged in again" {
    unplug one two
    wait_for 30 said 1 'worker\.lost name=one '
    wait_for 30 said 1 'worker\.lost name=two '
    wait_for 30 said 1 'step\.waiting .*: nobody is there to compute them$'
    plug one two
    wait_for 30 said 2 'worker\.joined name=one '
    wait_for 30 said 2 'worker\.joined name=two '
    ends server one two
}

@test "the server is cut off, killed, started again and back" {
    cut_off server
    wait_for 30 said 1 'worker\.waiting for=server ' one
    wait_for 30 said 1 'worker\.waiting for=server ' two
    kill_now server
    start_on server again "$DROVER" server --resume out --data "$data" --bind tcp://0.0.0.0:5570
    wait_for_line 20 again ' server\.bound endpoint='
    wait_for 10 said 1 'run\.resumed folder=out step=[1-9]' again
    mend server
    ends again one two
    wait_for 10 said 1 'worker\.joined name=one ' again
    wait_for 10 said 1 'worker\.joined name=two ' again
}

@test "a worker is cut off for good while it computes" {
    cut_off one
    ends server two
    [ "$(metric out reissued | paste -sd+ | bc)" -gt 0 ]
    wait_for 30 said 1 'worker\.waiting for=server ' one # it goes on looking
    signal one TERM
    ends_well 10 one
}
