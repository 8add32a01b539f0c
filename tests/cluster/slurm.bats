#!/usr/bin/env bats
# The Slurm jobs of docs/launch-slurm.md on a real cluster of two nodes, all on this machine. Workers
# are stopped where the run would be over before what the test does to it.
load ../helpers
load cluster
load slurm

setup_file() {
    make_calm
    slurm_up
}

teardown_file() { slurm_down; }

test_setup() {
    need_slurm
    training=("$DROVER_SOURCE_DIR/scripts/drover.sbatch" --data "$BATS_FILE_TMPDIR/digits"
        --output out "${settings[@]}")
}

test_teardown() { slurm_clear; }

@test "a job on two nodes grows while it runs, and loses a worker" {
    submit -N 2 -c 2 "${training[@]}"
    wait_for 30 logged "$job" ' worker\.joined .*workers=2'
    wait_for 30 steps_done out 20
    hold "$job"
    [ "$(<out/endpoint)" = "tcp://$(machine_address):$((20000 + job % 2500 * 4))" ]
    [ "$(workers_of "$job" n1 | wc -l)" = 1 ]
    [ "$(workers_of "$job" n2 | wc -l)" = 1 ]
    first=$job
    submit -N 2 "$DROVER_SOURCE_DIR/scripts/drover-workers.sbatch" out
    wait_for 30 logged "$first" ' worker\.joined .*threads=1 ' 2
    kill -KILL "$(workers_of "$first" n2)"
    let_go "$first" n1
    ends_with COMPLETED "$first"
    ends_with COMPLETED "$job"
    same_bits
    logged "$first" ' worker\.joined .*threads=2 ' 2
    [ ! -e out/endpoint ]
}

@test "a job that is queued again goes on where it was" {
    submit -N 2 "${training[@]}"
    wait_for 30 steps_done out 20
    hold "$job"
    scontrol requeue "$job"
    wait_for 30 job_is "$job" PENDING
    logged "$job" '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$'
    start_soon "$job"
    ends_with COMPLETED "$job"
    logged "$job" ' run\.resumed folder=out step=[1-9]'
    same_bits
}

# scancel sends what Slurm sends before the time limit, to the script alone.
@test "a job that reaches its time limit leaves a checkpoint for the next one" {
    submit -N 1 -c 2 "${training[@]}"
    wait_for 30 steps_done out 20
    hold "$job"
    scancel --batch --signal=TERM "$job"
    ends_with FAILED "$job"
    logged "$job" '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$'
    submit -N 1 "${training[@]}"
    ends_with FAILED "$job"
    logged "$job" '^drover\.sbatch: out holds a run already; --resume out goes on with it$'
    submit -N 1 "$DROVER_SOURCE_DIR/scripts/drover.sbatch" --resume out
    ends_with COMPLETED "$job"
    same_bits
}

@test "a cancelled job leaves a checkpoint" {
    submit -N 2 "${training[@]}" --steps 1000000
    wait_for 30 steps_done out 20
    scancel "$job"
    ends_with CANCELLED "$job"
    logged "$job" '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$'
}

@test "workers are taken away, and a job whose own all die does not sit on its nodes" {
    submit -N 2 "${training[@]}" --steps 1000000
    first=$job
    wait_for 30 logged "$first" ' worker\.joined .* workers=2$'
    submit -n 1 "$DROVER_SOURCE_DIR/scripts/drover-workers.sbatch" out
    wait_for 30 logged "$first" ' worker\.joined .* workers=3$'
    scancel "$job"
    wait_for 30 logged "$first" ' worker\.left .* workers=2$'
    # shellcheck disable=SC2046
    kill -KILL $(workers_of "$first")
    ends_with FAILED "$first"
    logged "$first" '^drover\.sbatch: no worker of this job is left; stopping, with a checkpoint$'
    logged "$first" '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$'
}

@test "what the script does not take" {
    run -2 env SLURM_JOB_ID=1 "$DROVER_SOURCE_DIR/scripts/drover.sbatch" --workers 2
    [ "$output" = 'drover.sbatch: --workers: the tasks of the job are its workers; use -N, -n and -c' ]
    run -2 env SLURM_JOB_ID=1 "$DROVER_SOURCE_DIR/scripts/drover.sbatch" --output a --resume=b
    [ "$output" = 'drover.sbatch: --resume b: the folder is a already' ]
    run -2 "$DROVER_SOURCE_DIR/scripts/drover-workers.sbatch"
    [ "$output" = 'drover-workers.sbatch: 0 arguments, expected the output folder of the training' ]
    local each
    for each in drover drover-workers; do
        run -0 timeout 10 "$DROVER_SOURCE_DIR/scripts/$each.sbatch" --help
        [[ $output == "Usage: sbatch -N NODES -c CPUS scripts/$each.sbatch "* ]]
    done
}
