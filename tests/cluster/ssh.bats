# scripts/launch-ssh, with an sshd of its own: own keys, own port on an address of loopback that no
# other test has. The hosts one and two are that sshd; `ssh` knows them by a configuration of its own.
load ../helpers
load cluster

settings=(--set training.block_rows=240)

setup_file() {
    make_data 1500
    cd "$BATS_FILE_TMPDIR" || return 1
    "$DROVER" train --data digits --output calm "${settings[@]}"
    if [ -x /usr/sbin/sshd ]; then start_sshd || true; fi
}

teardown_file() {
    [ ! -s "$BATS_FILE_TMPDIR/sshd.pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/sshd.pid")"
}

test_setup() {
    [ -e "$BATS_FILE_TMPDIR/ready" ] || skip "needs an sshd: $(tail -n 1 "$BATS_FILE_TMPDIR/sshd.log" ||
        echo 'no /usr/sbin/sshd; Debian has it in openssh-server')"
    data=$BATS_FILE_TMPDIR/digits
    calm=$BATS_FILE_TMPDIR/calm
    host=$(cat "$BATS_FILE_TMPDIR/address")
    bind=tcp://$host:15570
    launch=("$DROVER_SOURCE_DIR/scripts/launch-ssh" --ssh "ssh -F $BATS_FILE_TMPDIR/ssh_config"
        --drover "$DROVER")
    export DROVER
}

# sshd insists on its folder below /run when it is root: it gets a /run that only it sees.
start_sshd() {
    local as_root=() host=127.$((1 + $$ / 65536)).$(($$ / 256 % 256)).$(($$ % 256))
    echo "$host" >address
    ssh-keygen -q -t ed25519 -N '' -f host_key
    ssh-keygen -q -t ed25519 -N '' -f user_key
    cat >sshd_config <<END
ListenAddress $host:2222
HostKey $PWD/host_key
AuthorizedKeysFile $PWD/user_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv "ASAN_OPTIONS=${ASAN_OPTIONS:-}" "UBSAN_OPTIONS=${UBSAN_OPTIONS:-}" "LSAN_OPTIONS=${LSAN_OPTIONS:-}" "TSAN_OPTIONS=${TSAN_OPTIONS:-}"
END
    printf '[%s]:2222 %s\n' "$host" "$(cut -d ' ' -f 1,2 host_key.pub)" >known_hosts
    cat >ssh_config <<END
Host one two three
    HostName $host
Host closed
    HostName $host
    Port 1
Host stranger
    HostName $host
    IdentityFile $PWD/host_key
Host unknown
    HostName $host
    UserKnownHostsFile /dev/null
Host !stranger *
    IdentityFile $PWD/user_key
Host *
    Port 2222
    IdentitiesOnly yes
    UserKnownHostsFile $PWD/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
END
    [ "$(id -u)" -ne 0 ] || as_root=(unshare --mount
        sh -c 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"' -)
    setpriv --pdeathsig TERM "${as_root[@]}" /usr/sbin/sshd -D -e -f sshd_config \
        >sshd.log 2>&1 </dev/null 3>&- &
    echo $! >sshd.pid
    work=$PWD background[sshd]=$!
    wait_for_line 10 sshd '^Server listening' && touch ready
}

# remote_gone: no worker and no connection is left on the hosts.
remote_gone() {
    ! pgrep -f "worker $bind " >/dev/null && ! pgrep -P "$(cat "$BATS_FILE_TMPDIR/sshd.pid")" >/dev/null
}

# all_gone NAME: nothing of the launcher is left, here or there.
all_gone() {
    wait_for 10 group_gone "$1"
    wait_for 10 remote_gone
    [ -z "$(ls tmp)" ]
}

# start_launch NAME HOSTS [ARGUMENT...]: the launcher in the background, its files in tmp.
start_launch() {
    local name=$1
    shift
    mkdir -p tmp
    TMPDIR=$work/tmp start_background "$name" "${launch[@]}" "$@"
}

# ssh_of NAME HOST: the process id of NAME's ssh to HOST.
ssh_of() {
    pgrep -g "${background[$1]}" -f "^ssh .* -- $2 "
}

joined() {
    [ "$(grep -c " worker\.joined name=$2 " "$1.log")" -ge "$3" ]
}

@test "workers on two hosts end with the bytes of a run on one machine, and nothing is left" {
    printf '# two hosts\none threads=1\n\n%s@two threads=1 workers=2 # and two of them\n' "$(id -un)" >hosts
    start_launch run hosts --bind "$bind" -- --data "$data" --output out "${settings[@]}" \
        --set server.min_workers=3
    ends_well 30 run
    cmp "$calm/model.safetensors" out/model.safetensors
    for name in one two.1 two.2; do
        grep -qE " worker\.joined name=${name//./\\.} .*threads=1 " run.log
        grep -qE "^\[${name//./\\.}\] [0-9:.]+ info  worker\.job " run.log
    done
    all_gone run
}

@test "hosts that cannot be used are named in a line each, and the run goes on with the others" {
    printf '#!/bin/sh\necho drover 0.0.9\n' >old
    chmod +x old
    printf '%s\n' closed one 'two drover=/nowhere/drover' "three drover=$work/old" stranger unknown \
        >hosts
    start_launch run hosts --bind "$bind" -- --data "$data" --output out "${settings[@]}" \
        --set training.steps=1000000
    wait_for_line 20 run '^\[two\] left out: no /nowhere/drover on this host, expected drover [0-9.]+; '
    wait_for_line 20 run "^\[three\] left out: $work/old on this host is \"drover 0\.0\.9\", expected \"drover [0-9.]+\"\$"
    wait_for_line 20 run '^\[closed\] ssh: connect to host .* port 1: Connection refused; trying again, '
    wait_for_line 20 run '^\[stranger\] left out: .*Permission denied \(publickey\)'
    wait_for_line 20 run '^\[unknown\] left out: Host key verification failed\.'
    wait_for 20 steps_done out 100
    signal run INT
    wait_exit 10 run
    expect_status 130
    cmp "$calm/cost_history/part-00000" <(head -n 100 out/cost_history/part-00000)
    for name in two three closed stranger unknown; do
        [ "$(grep -c "^\[$name\]" run.log)" -eq 1 ]
    done
    [[ $(tail -n 1 run.log) =~ ^launch-ssh:\ left\ out:\ [a-z\ ]+$ ]]
    [ "$(tail -n 1 run.log | wc -w)" -eq 7 ]
    all_gone run
}

@test "an ssh, a worker and the server are killed; others take their place" {
    printf 'one threads=1\ntwo threads=1\n' >hosts
    start_launch run hosts --bind "$bind" -- --data "$data" --output out "${settings[@]}" \
        --set training.steps=1000000
    wait_for 20 joined run one 1
    wait_for 20 joined run two 1
    worker=$(pgrep -f "worker $bind --name two ")
    kill -KILL "$(ssh_of run two)"
    wait_for 10 joined run two 2
    run ! kill -0 "$worker"
    grep -q '^\[two\] ended by signal 9; trying again' run.log
    # and one whose worker is killed on its host
    kill -KILL "$(pgrep -f "worker $bind --name one ")"
    wait_for 10 joined run one 2
    # and the server, which its workers find again
    wait_for 20 steps_done out 20
    kill -KILL "$(pgrep -g "${background[run]}" -f '^drover server ')"
    wait_for_line 20 run ' run\.resumed folder=out step=[1-9]'
    n=$(wc -l <out/metrics.jsonl)
    wait_for 10 steps_done out $((n > 100 ? n + 5 : 100))
    signal run INT
    wait_exit 10 run
    expect_status 130
    grep -q '^interrupted after step [0-9]*; its checkpoint is in out/checkpoint$' run.log
    cmp "$calm/cost_history/part-00000" <(head -n 100 out/cost_history/part-00000)
    all_gone run
}

@test "a killed launcher takes everything along, on all hosts" {
    printf 'one threads=1\ntwo threads=1\nclosed\n' >hosts
    start_launch run hosts --bind "$bind" -- --data "$data" --output out "${settings[@]}" \
        --set training.steps=1000000
    wait_for 20 joined run one 1
    wait_for 20 joined run two 1
    wait_for 20 steps_done out 5
    kill_now run
    all_gone run
    [ -n "$(ls out/checkpoint)" ]
}

@test "Ctrl-C of a terminal, which the whole group gets, and before any worker has come" {
    printf 'one threads=1\nclosed\n' >hosts
    start_launch run hosts --bind "$bind" -- --data "$data" --output out "${settings[@]}" \
        --set training.steps=1000000
    wait_for 20 joined run one 1
    kill -INT -- "-${background[run]}"
    wait_exit 10 run
    expect_status 130
    all_gone run
    echo closed >hosts
    start_launch none hosts --bind "$bind" -- --data "$data" --output none "${settings[@]}"
    wait_for_line 20 none '^\[closed\] ssh: '
    signal none TERM
    wait_exit 10 none
    expect_status 143
    all_gone none
}

@test "workers for a server that runs already, whose address the hosts find by their connection" {
    start_server server --data "$data" --output out "${settings[@]}" --bind "$bind" \
        --set server.min_workers=2
    printf 'one threads=1 workers=2\n' >hosts
    start_launch run hosts --endpoint "$bind"
    ends_well 20 server
    ends_well 20 run
    cmp "$calm/model.safetensors" out/model.safetensors
    all_gone run
    # lo's address is not in --bind: a worker connects to where its ssh comes from
    bind=tcp://127.0.0.1:$((10000 + $$ * 4 % 20000))
    start_launch found hosts --bind "tcp://lo:${bind##*:}" -- --data "$data" --output found "${settings[@]}"
    ends_well 20 found
    cmp "$calm/model.safetensors" found/model.safetensors
    all_gone found
}

@test "a training that cannot begin, or has no host left, is a failure" {
    echo one threads=1 >hosts
    start_launch bad hosts --bind "$bind" -- --data nowhere --output out
    wait_exit 20 bad
    expect_status 1
    grep -q '^drover server: .*nowhere' bad.log
    all_gone bad
    echo one drover=/nowhere/drover >hosts
    start_launch none hosts --bind "$bind" -- --data "$data" --output out
    wait_exit 20 none
    expect_status 1
    grep -q '^launch-ssh: no host can be used; the server is stopped$' none.log
    all_gone none
}

@test "what is wrong with the command line or the hosts file is said in one line" {
    local line said
    while IFS='|' read -r line said; do
        printf '# hosts\n%b\n' "$line" >hosts
        run -2 "${launch[@]}" hosts -- --data "$data"
        [[ ${lines[0]} =~ ^launch-ssh:\ hosts:2:\ $said$ ]] || { echo "${lines[0]}"; return 1; }
    done <<'TABLE'
-oProxyCommand=x|'-oProxyCommand=x', expected \[USER@\]HOST
one slots=2|'slots=2', expected workers=N, threads=T, port=P or drover=PATH
one workers=0|'workers=0', expected a whole number above 0
one threads=many|'threads=many', expected a whole number above 0
TABLE
    echo '# nobody' >hosts
    run -1 "${launch[@]}" hosts
    [ "$output" = 'launch-ssh: hosts: no hosts, expected at least one' ]
    run -1 "${launch[@]}" nowhere
    [ "$output" = 'launch-ssh: nowhere: cannot read the hosts' ]
    run -2 "${launch[@]}"
    run -2 "${launch[@]}" hosts --steps 5
    run -2 "${launch[@]}" hosts --bind tcp://somewhere
    run -2 "${launch[@]}" hosts --endpoint tcp://somewhere:5570 -- config.yaml
}
