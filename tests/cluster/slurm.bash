# shellcheck shell=bash
# A Slurm cluster of two nodes on this machine, for the tests of a file; load it behind cluster.
#
# Debian's munged, slurmctld and two slurmd with key, configuration, ports and folders of their own:
# nothing of the system's is used or changed. setup_file calls slurm_up, teardown_file slurm_down.
# Nodes are n1 and n2 with four CPUs each, whatever the machine has, at the machine's own address.

# 25 blocks; a learning rate that stays, so that each step counts.
settings=(--set training.block_rows=240 --set training.steps=1000
    --set training.bold_driver.up=1 --set training.bold_driver.down=0.999)

PATH=$PATH:/usr/sbin # of the daemons; not on everybody's

# need_slurm: skips the test unless slurm_up has made the cluster.
need_slurm() {
    [ ! -e "$BATS_FILE_TMPDIR/slurm/missing" ] || skip "$(<"$BATS_FILE_TMPDIR/slurm/missing")"
}

# slurm_up [NODE_TIMEOUT_S]: the cluster; a node that says nothing for so long is down.
slurm_up() {
    local program ports
    slurm=$BATS_FILE_TMPDIR/slurm
    export slurm SLURM_CONF=$slurm/slurm.conf
    mkdir -p "$slurm"
    for program in munged slurmctld slurmd sbatch flock; do
        command -v "$program" >/dev/null ||
            echo "needs $program, of the packages munge, slurmctld, slurmd and slurm-client" >"$slurm/missing"
    done
    [ "$(id -u)" -eq 0 ] || echo "needs root, which slurmd runs as" >"$slurm/missing"
    [ ! -e "$slurm/missing" ] || return 0
    read -ra ports < <(free_ports 3)
    slurm_conf "${1:-300}" "${ports[@]}" >"$SLURM_CONF"
    head -c 1024 /dev/urandom >"$slurm/munge.key"
    chmod 400 "$slurm/munge.key"
    mkdir "$slurm/state"
    watch_ourselves
    start_daemon munged munged --force --foreground --socket="$slurm/munge.socket" \
        --key-file="$slurm/munge.key" --pid-file="$slurm/munge.pid" --log-file="$slurm/munge.log" \
        --seed-file="$slurm/munge.seed"
    wait_for 20 test -S "$slurm/munge.socket"
    start_daemon slurmctld slurmctld -D
    start_node n1
    start_node n2
    wait_for 30 nodes_idle || {
        tail -n 20 "$slurm"/*.log
        return 1
    }
}

# The first address of this machine that is not its own alone, if it has one.
machine_address() {
    local addresses
    read -ra addresses < <(hostname -I)
    echo "${addresses[0]:-127.0.0.1}"
}

# slurm_conf NODE_TIMEOUT_S CTLD_PORT N1_PORT N2_PORT
slurm_conf() {
    local host address
    host=$(hostname -s) address=$(machine_address)
    cat <<CONF
ClusterName=drover
SlurmctldHost=$host($address)
SlurmctldPort=$2
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
CredType=cred/munge
StateSaveLocation=$slurm/state
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/%n.pid
SlurmdSpoolDir=$slurm/spool-%n
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_min_interval=1
SlurmdParameters=config_overrides
SlurmdTimeout=$1
KillWait=10
ReturnToService=2
FirstJobId=$((($$ % 2000) + 1))
NodeName=n1 NodeHostname=$host NodeAddr=$address Port=$3 CPUs=4
NodeName=n2 NodeHostname=$host NodeAddr=$address Port=$4 CPUs=4
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
}

# free_ports N: numbers of ports that nobody uses, below those that the system gives out.
free_ports() {
    "$python" - "$1" <<'PYTHON'
import random, socket, sys
found = []
while len(found) < int(sys.argv[1]):
    with socket.socket() as s:
        port = random.randrange(10000, 20000)
        try:
            s.bind(("", port))
        except OSError:
            continue
        if port not in found:
            found.append(port)
print(*found)
PYTHON
}

# What slurm_down does, should this process be killed before: ends all that belongs to the cluster.
watch_ourselves() {
    (setsid bash -c "$(declare -f our_processes)
        tail --pid=$$ -f /dev/null
        kill -KILL \$(our_processes)" >/dev/null 2>&1 </dev/null 3>&- &)
}

# start_daemon NAME COMMAND...
start_daemon() {
    local name=$1
    shift
    env --chdir=/ setsid "$@" >>"$slurm/$name.log" 2>&1 </dev/null 3>&- &
    echo $! >"$slurm/$name.daemon"
    disown
}

start_node() {
    start_daemon "$1" slurmd -D -N "$1"
}

# kill_node NODE: all of it, as when its power fails. None must tell of another's end: they are stopped
# before, and children end first, since the kernel wakes a stopped group whose parent ends.
kill_node() {
    local pid parent all
    all=("$(<"$slurm/$1.daemon")")
    for pid in $(our_processes "SLURMD_NODENAME=$1"); do
        all+=("$pid")
        parent=$(parent_of "$pid")
        ! grep -q '^Name:[[:space:]]*slurmstepd' "/proc/$parent/status" || all+=("$parent")
    done
    kill -STOP "${all[@]}"
    for pid in "${all[@]}"; do
        echo "$(depth_of "$pid") $pid"
    done | sort -u -k 1,1nr -k 2,2n | while read -r _ pid; do
        kill -KILL "$pid"
    done
}

parent_of() {
    sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"
}

# depth_of PID: how many processes there are above it.
depth_of() {
    local pid=$1 depth=0
    while pid=$(parent_of "$pid") && [ "$pid" -gt 0 ]; do
        depth=$((depth + 1))
    done
    echo "$depth"
}

# node_is NODE STATE
node_is() {
    [[ $(scontrol show node "$1" 2>/dev/null) == *" State=$2"[+\ ]* ]]
}

nodes_idle() {
    [ "$(sinfo --noheader --Node --format=%T 2>/dev/null | sort | uniq -c | tr -d ' \n')" = 2idle ]
}

# Ends the jobs, the daemons and whatever either has left behind.
slurm_down() {
    local file pid
    [ -e "$SLURM_CONF" ] || return 0
    cancel_jobs
    for file in n1 n2 slurmctld munged; do
        pid=$(cat "$slurm/$file.daemon" 2>/dev/null) || continue
        kill -TERM "$pid" 2>/dev/null || continue
        wait_for 10 is_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    done
    # slurmstepd and tasks have this file's SLURM_CONF in their environment
    for pid in $(our_processes); do
        kill -KILL "$pid" 2>/dev/null || true
    done
}

cancel_jobs() {
    ! scancel --user=root 2>/dev/null || wait_for 20 no_jobs || true
}

no_jobs() {
    [ -z "$(squeue --noheader)" ]
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# our_processes [WORD=VALUE...]: ids of processes of this cluster's jobs, those with all of these in
# their environment, but for ourselves.
our_processes() {
    local word files
    files=$(grep -lzxF -- "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ 2>/dev/null)
    for word; do
        # shellcheck disable=SC2086
        files=$(grep -lzxF -- "$word" $files /dev/null 2>/dev/null)
    done
    grep -oE '[0-9]+' <<<"$files" | grep -vxF -e "$BASHPID" -e $$
}

# workers_of JOB [NODE]: ids of its worker processes.
workers_of() {
    local pid
    for pid in $(our_processes "SLURM_JOB_ID=$1" "SLURM_STEP_ID=0" ${2:+"SLURMD_NODENAME=$2"}); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != drover ] || echo "$pid"
    done
}

# submit ARGUMENT...: an sbatch; the job's number in $job, its log will be slurm-$job.out.
submit() {
    job=$(sbatch --parsable "$@")
}

# job_is JOB STATE
job_is() {
    [[ $(scontrol show job "$1" 2>/dev/null) == *"JobState=$2 "* ]]
}

# start_soon JOB: one that was queued again, and would start two minutes after that. Nodes refuse what
# starts in the second in which they were told to end it ("Job credential revoked").
start_soon() {
    scontrol update JobId="$1" StartTime=now+2
}

# job_over JOB: in whatever way.
job_over() {
    [[ $(scontrol show job "$1") =~ JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)\  ]]
}

# ends_with STATE JOB: the job ends so.
ends_with() {
    wait_for 60 job_over "$2"
    job_is "$2" "$1" || {
        scontrol show job "$2"
        tail -n 40 "slurm-$2.out"
        return 1
    }
}

# logged JOB REGEX [N]: N lines of its log match; one if N is not given.
logged() {
    [ -e "slurm-$1.out" ] && [ "$(grep -cE -- "$2" "slurm-$1.out")" -ge "${3:-1}" ]
}

# make_calm: data, and the run on them of one worker that nothing disturbs, for same_bits.
make_calm() {
    export DROVER
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 6000 --test-rows 300 --seed 3
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --output "$BATS_FILE_TMPDIR/calm" \
        "${settings[@]}"
}

same_bits() {
    same_run "$BATS_FILE_TMPDIR/calm" out
}

# hold JOB: its workers stand still, and with them the run. let_go JOB [NODE]: they go on.
hold() {
    # shellcheck disable=SC2046
    kill -STOP $(workers_of "$1")
}
let_go() {
    # shellcheck disable=SC2046
    kill -CONT $(workers_of "$@")
}

# slurm_clear: ends the jobs of a test, and shows what they said if it has failed.
slurm_clear() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 40 slurm-*.out
    cancel_jobs
}
