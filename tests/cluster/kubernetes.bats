# What stands in the Kubernetes manifests, run as their pods would: each with an address and the host
# names of its own. A cluster's part (volumes, names, starting again) is played by this test.
load ../helpers
load cluster

setup_file() {
    grep -m 1 '^flags' /proc/cpuinfo | grep -qw avx2 || return 0
    cd "$BATS_FILE_TMPDIR" || return 1
    "$DROVER" data synth data --train-rows 1500 --test-rows 300
}

test_setup() {
    [ -e "$BATS_FILE_TMPDIR/data" ] || skip "needs a CPU with AVX2"
    own_names=(unshare --mount)
    [ "$(id -u)" -eq 0 ] || own_names=(unshare --user --map-root-user --mount)
    "${own_names[@]}" mount --bind /etc/hosts /etc/hosts 2>said || skip "needs mounts of its own: $(cat said)"
    net=127.$((64 + $$ / 65536)).$(($$ / 256 % 256))
    mkdir -p volume config
    "$python" "$DROVER_SOURCE_DIR/tests/python/manifests.py" "$DROVER_SOURCE_DIR/config/kubernetes" \
        config drover training.yaml |
        sed "s|/var/lib/drover|$work/volume|; s/training: {.*}/training: {steps: 1000000, block_rows: 240}/" \
            >config/training.yaml
    cp /etc/hosts hosts
}

# pod NAME CONTAINER ADDRESS [KEY=VALUE...]: a container of the manifests in the background.
pod() {
    local name=$1 container=$2 address=$3 words variables
    local manifests=("$python" "$DROVER_SOURCE_DIR/tests/python/manifests.py"
        "$DROVER_SOURCE_DIR/config/kubernetes")
    shift 3
    mapfile -t words < <("${manifests[@]}" args "$container" "$@" |
        sed "s|/var/lib/drover|$work/volume|; s|/etc/drover|$work/config|; s|0\.0\.0\.0|$address|")
    mapfile -t variables < <("${manifests[@]}" env "$container")
    [ "${#words[@]}" -gt 1 ]
    # of the server alone, which may not have read it yet when others start
    [ "$container" != server ] || sed -i -E "s/tcp:[^:]*:/tcp:\/\/$address:/" config/training.yaml
    start_background "$name" "${own_names[@]}" \
        sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' - "$work/hosts" \
        env "${variables[@]}" "$DROVER" "${words[@]}"
}

# service NAME ADDRESS: what the name stands for, from now on.
service() {
    { grep -vw "$1" hosts || true; } >new
    echo "$2 $1" >>new
    cat new >hosts # the same file, which the pods see
}

@test "server, relay and workers; the server's pod is killed and comes back with another address" {
    sed -i 's/server: {/&min_workers: 2, /' config/training.yaml
    service drover-relay "$net.3"
    pod early worker "$net.9" # before there is a name
    wait_for_line 20 early ' worker\.waiting '
    pod data data "$net.1"
    ends_well 30 data
    [ -s volume/data/train-images-idx3-ubyte ]
    cp "$BATS_FILE_TMPDIR"/data/* volume/data # fewer of them
    pod server server "$net.1"
    service drover-server "$net.1"
    pod relay relay "$net.3"
    pod late worker "$net.4" DROVER_ENDPOINT=tcp://drover-relay:5570
    wait_for 30 steps_done volume/run 15
    kill_now server
    n=$(($(wc -l <volume/run/metrics.jsonl) + 30))
    "$DROVER" train config/training.yaml --set server.bind=auto --steps "$n" \
        --set server.min_workers=1 --output calm
    sed -i "s/steps: 1000000/steps: $n/" config/training.yaml
    pod again server "$net.2"
    service drover-server "$net.2"
    ends_well 60 again
    grep -qE ' run\.resumed folder=.* step=[1-9]' again.log
    [ "$(grep -cE ' worker\.joined name=pod-(worker|relay) .*kernel=sparse' again.log)" -eq 2 ]
    cmp calm/model.safetensors volume/run/model.safetensors
    ends_well 10 early relay late
}

@test "a worker that is scaled away leaves within its grace, and the training goes on" {
    cp -r "$BATS_FILE_TMPDIR/data" volume
    service drover-server "$net.1"
    pod server server "$net.1"
    pod one worker "$net.3"
    pod two worker "$net.4"
    wait_for_line 20 server ' worker\.joined .*workers=2'
    wait_for 20 steps_done volume/run 5
    signal one TERM
    ends_well 10 one
    n=$(wc -l <volume/run/metrics.jsonl)
    wait_for 20 steps_done volume/run $((n + 5))
    signal server TERM # its pod has to make room
    wait_exit 20 server
    expect_status 143
    [ -n "$(ls volume/run/checkpoint)" ]
}
