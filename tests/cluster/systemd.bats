# The systemd units, as `cmake --install` puts them down. systemd itself is not started: systemd-analyze
# reads them, and the command lines in them are run with its specifiers and environment files.
load ../helpers
load cluster

setup_file() {
    make_data 1500
    cmake --install "$DROVER_BINARY_DIR" --prefix "$BATS_FILE_TMPDIR/prefix" >/dev/null
}

test_setup() {
    data=$BATS_FILE_TMPDIR/digits
    prefix=$BATS_FILE_TMPDIR/prefix
    units=$prefix/lib/systemd/system
    mkdir etc state
}

# start_unit NAME UNIT INSTANCE: what its ExecStart names, in the background. /etc/drover is etc and
# /var/lib state.
start_unit() {
    local line
    line=$(sed -n 's/^ExecStart=//p' "$units/$2@.service" |
        sed "s|%i|$3|g; s|%l|box|g; s|%S|$work/state|g; s|/etc/drover|$work/etc|g")
    [[ $line != *%* ]]
    start_background "$1" env -i PATH=/usr/bin:/bin TSAN_OPTIONS="${TSAN_OPTIONS:-}" \
        LSAN_OPTIONS="${LSAN_OPTIONS:-}" bash -c "$(environment_of "$2" "$3")
exec $line"
}

# environment_of UNIT INSTANCE: shell text that sets what its Environment and EnvironmentFile lines do.
environment_of() {
    {
        sed -n 's/^Environment=//p' "$units/$1@.service"
        sed -n 's/^EnvironmentFile=//p' "$units/$1@.service" | while IFS= read -r file; do
            file=${file//%i/$2} file=${file//\/etc\/drover/$work/etc}
            case $file in
            -*) [ ! -e "${file#-}" ] || cat "${file#-}" ;;
            *) cat "$file" ;;
            esac
        done
    } | sed -n "s/^\([A-Z_]*\)=\(.*\)/export \1='\2'/p"
}

@test "systemd finds nothing wrong with the units" {
    command -v systemd-analyze >/dev/null || skip "needs systemd-analyze"
    local unit
    for unit in drover-server@first drover-worker@1; do
        cp "$units/${unit%@*}@.service" .
        run -0 systemd-analyze verify "./${unit%@*}@.service" "$units/$unit.service"
        [ -z "$output" ]
        # and would find it
        sed -i 's/^DynamicUser=yes/DynamicUsers=yes/' "${unit%@*}@.service"
        run systemd-analyze verify "./$unit.service"
        [[ $output == *"'DynamicUsers'"* ]]
    done
}

@test "installed for /usr, the units name programs and pages there" {
    DESTDIR=$work/root cmake --install "$DROVER_BINARY_DIR" --prefix /usr >/dev/null
    local path n=0
    for path in $(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p; s/^Documentation=file://p' \
        root/usr/lib/systemd/system/*.service) /usr/share/drover/config/systemd/worker.conf; do
        case $path in
        *.md) [ -s "$DROVER_SOURCE_DIR/docs/${path##*/}" ] ;;
        esac
        [ -s "root$path" ]
        n=$((n + 1))
    done
    [ "$n" -eq 5 ]
    run ! grep -rE '@[A-Z_]+@' root/usr/lib/systemd
}

@test "the launchers of ssh and Slurm are installed as well, and run from there" {
    local script
    for script in launch-ssh drover.sbatch; do
        run -0 "$prefix/share/drover/scripts/$script" --help
        [[ ${lines[0]} == "Usage: "* ]]
    done
    # what its page names is there
    while read -r script; do
        [ -x "$prefix/share/drover/$script" ]
    done < <(grep -oh 'scripts/[a-z.-]*' "$prefix"/share/doc/drover/launch-*.md)
}

@test "a server that is killed goes on when its unit is started again, with the same bytes" {
    cp "$prefix/share/drover/config/systemd/worker.conf" etc
    sed -i "s|^DROVER_ENDPOINT=.*|DROVER_ENDPOINT=ipc://$work/control|" etc/worker.conf
    echo 'DROVER_THREADS=2' >etc/worker-2.conf
    cat >etc/first.yaml <<END
data: {path: $data}
training: {block_rows: 240, steps: 1000000}
server: {bind: "ipc://$work/control", min_workers: 2}
END
    start_unit server drover-server first
    start_unit one drover-worker 1
    start_unit two drover-worker 2
    wait_for 20 steps_done state/drover/first 15
    grep -q ' worker\.joined name=box-1 .*threads=1 ' server.log
    grep -q ' worker\.joined name=box-2 .*threads=2 ' server.log
    kill_now server
    n=$(($(wc -l <state/drover/first/metrics.jsonl) + 30))
    "$DROVER" train --data "$data" --output calm --set training.block_rows=240 --steps "$n"
    sed -i "s/steps: 1000000/steps: $n/" etc/first.yaml
    start_unit again drover-server first
    ends_well 30 again
    grep -qE ' run\.resumed folder=.* step=[1-9]' again.log
    cmp calm/model.safetensors state/drover/first/model.safetensors
    ends_well 10 one
    ends_well 10 two
    # Restart=always: for the next training. Restart=on-abnormal, at the next boot: it is done.
    start_unit one drover-worker 1
    wait_for_line 20 one ' worker\.waiting '
    start_unit finished drover-server first
    ends_well 30 finished
    [ "$(wc -l <state/drover/first/metrics.jsonl)" -eq "$n" ]
    cmp calm/model.safetensors state/drover/first/model.safetensors
    # Another training, stopped in the middle by systemctl stop.
    sed "s/min_workers: 2/min_workers: 1/; s/steps: .*}/steps: 1000000}/" etc/first.yaml >etc/second.yaml
    start_unit second drover-server second
    wait_for 20 steps_done state/drover/second 10
    signal second TERM
    wait_exit 10 second
    [[ $(sed -n 's/^SuccessExitStatus=//p' "$units/drover-server@.service") == "$status" ]]
    cmp <(head -n 10 calm/cost_history/part-00000) <(head -n 10 state/drover/second/cost_history/part-00000)
}

@test "an error in worker.conf is one of usage, with which systemd does not try again" {
    printf 'DROVER_ENDPOINT=ipc://%s/control\nDROVER_OPTIONS=--thread 2\n' "$work" >etc/worker.conf
    start_unit one drover-worker 1
    wait_exit 10 one
    [[ $(sed -n 's/^RestartPreventExitStatus=//p' "$units/drover-worker@.service") == "$status" ]]
}
