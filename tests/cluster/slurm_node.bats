#!/usr/bin/env bats
# Nodes that fail under a Slurm job (docs/launch-slurm.md).
load ../helpers
load cluster
load slurm

setup_file() {
    make_calm
    slurm_up 5
}

teardown_file() { slurm_down; }

test_setup() {
    need_slurm
    training=("$DROVER_SOURCE_DIR/scripts/drover.sbatch" --data "$BATS_FILE_TMPDIR/digits"
        --output out "${settings[@]}")
}

test_teardown() {
    slurm_clear
    for node in n1 n2; do
        ! node_is "$node" DOWN || start_node "$node"
    done
}

@test "a node fails, and the job goes on with the other one" {
    submit -N 2 "${training[@]}"
    wait_for 30 logged "$job" ' worker\.joined .*workers=2'
    wait_for 30 steps_done out 20
    hold "$job"
    kill_node n2
    wait_for 120 node_is n2 DOWN
    job_is "$job" RUNNING
    let_go "$job" n1
    ends_with COMPLETED "$job"
    same_bits
}

@test "the node with the server fails, and the job goes on when it is started again" {
    wait_for 60 nodes_idle
    DROVER_PATIENCE=30 submit -N 2 "${training[@]}"
    wait_for 30 steps_done out 20
    hold "$job"
    kill_node n1
    wait_for 120 node_is n1 DOWN
    start_node n1
    let_go "$job" n2
    wait_for 120 job_is "$job" PENDING
    wait_for 60 nodes_idle
    start_soon "$job"
    ends_with COMPLETED "$job"
    logged "$job" ' run\.resumed folder=out step=[1-9]'
    same_bits
}
