#!/usr/bin/env bats
# The helpers themselves: a background process and its children end with the test.
load ../helpers

@test "a background process is seen to start, to take Ctrl-C and to end" {
    start_background loop bash -c 'trap "echo bye; exit 130" INT; echo ready
        while true; do read -rt 0.05 <> <(:) || true; done'
    wait_for_line 10 loop '^ready$'
    run ! group_gone loop
    signal loop INT
    wait_exit 10 loop
    [ "$status" -eq 130 ]
    wait_for 10 group_gone loop
    grep -qx bye loop.log
}

@test "teardown ends a process and what it started" {
    start_background parent bash -c 'sleep 1000 & echo ready; wait'
    wait_for_line 10 parent '^ready$'
    local group=$pid
    kill -0 -- "-$group"
    teardown
    wait_for 10 group_is_gone "$group"
    background=()
    setup
}

@test "teardown ends a process that has only just begun" {
    local i
    for i in 1 2 3 4 5 6 7 8; do
        start_background "young$i" sleep 1000
    done
}

group_is_gone() {
    ! kill -0 -- "-$1" 2>/dev/null
}

@test "what a process of the same name wrote before is gone when another is started" {
    start_background again echo ready
    wait_exit 10 again
    grep -qx ready again.log
    start_background again sleep 1000
    run ! grep -q ready again.log
}

@test "wait_for fails at its deadline" {
    DROVER_SLOWNESS=1 run wait_for 0 false
    [ "$status" -eq 1 ]
    [[ $output == *"not so within 0 s: false" ]]
}

@test "waiting for a line fails when the process ends without it" {
    start_background short echo other
    run wait_for_line 30 short '^ready$'
    [ "$status" -ne 0 ]
}

@test "background processes are told apart by their names" {
    start_background one sleep 60
    start_background two sleep 60
    signal one TERM
    wait_exit 5 one
    [ "$status" -eq 143 ]
    run ! has_ended two
}
