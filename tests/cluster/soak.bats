# 10,000 steps while workers join and leave all the time: server, relay and a worker that stays hold
# no more memory, descriptors or threads at the end than after the first steps.
load ../helpers
load cluster

stay=(server relay steady)

# holdings: a line each of who stays, the steps done, kB of memory of its own, descriptors, threads.
holdings() {
    local name pid
    for name in "${stay[@]}"; do
        pid=${background[$name]}
        echo "$name $1 $(awk '/^RssAnon/ { kb = $2 } /^Threads/ { threads = $2 } END { print kb, threads }' \
            "/proc/$pid/status") $(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
    done
}

# leave NAME SIGNAL: a worker ends, drained or not.
leave() {
    signal "$1" "$2"
    wait_exit 20 "$1"
    unset "background[$1]"
    rm "$work/$1.log"
}

# grown NAME COLUMN: by how much, from steps 3,000 to 6,000 to those behind; the least of each, since
# messages that happen to be on their way are held as well. Before, some wait for the first time for
# as many at once as there will ever be, and the room for these is kept.
grown() {
    awk -v name="$1" -v column="$2" '
        $1 == name && $2 > 2999 { half = ($2 > 5999); if (!(half in least) || $column < least[half]) least[half] = $column }
        END { print least[1] - least[0] }' samples
}

@test "10,000 steps with workers that join and leave: nothing grows" {
    local n=0 next=1000 done=0 where name
    local -A endpoints
    "$DROVER" data synth data --train-rows 4000 --test-rows 10 --seed 3
    start_server server --data data --output run --steps 11000 --bind "ipc://$work/s" \
        --set training.block_rows=64 --set checkpoint.every_steps=500
    endpoints[server]=$endpoint
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    endpoints[relay]=$endpoint
    endpoint=${endpoints[server]} start_worker steady
    # alone at first: what it keeps of each block it has now, whichever it is asked for later
    wait_for 60 steps_done run 20
    while [ "$next" -le 10000 ]; do
        # by turns at the server and behind the relay; two at a time, the older one leaves
        n=$((n + 1))
        where=$([ $((n % 2)) -eq 0 ] && echo server || echo relay)
        endpoint=${endpoints[$where]}
        start_worker "w$n"
        wait_for_line 20 "$where" " worker\.counts name=w$n "
        [ "$n" -le 2 ] || leave "w$((n - 2))" "$([ $((n % 4)) -lt 2 ] && echo TERM || echo KILL)"
        done=$(wc -l <run/metrics.jsonl)
        [ "$done" -ge "$next" ] || continue
        holdings "$done" >>samples
        next=$((done / 1000 * 1000 + 1000))
    done
    echo "# $n workers joined in $done steps; process, step, kB, threads, descriptors:" >&3
    sed 's/^/#   /' samples >&3
    ends_well 60 server
    steps_done run 11000
    for name in "${stay[@]}"; do
        [ "$(grown "$name" 3)" -le 1024 ]
        [ "$(grown "$name" 4)" -le 0 ]
        [ "$(grown "$name" 5)" -le 2 ]
    done
}
