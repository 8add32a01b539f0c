#!/usr/bin/env bash
# Usage: tests/cluster/measure_heal.bash [--cable] SECONDS...
#
# How soon a network that failed for so many seconds is used again: a server and its only worker on
# two hosts (netns.bash), the packets between them lost, or with --cable a cable pulled; prints the
# milliseconds from the mending to the next step, which needs partials of the worker.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${DROVER:=$here/../../build/release/cli/drover}"
fail=(cut_off one) heal=(mend one) pids=()

skip() {
    echo "$*" >&2
    exit 1
}

clean_up() {
    [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" || true
    wait || true
    net_down
    rm -rf "$work"
}

# start HOST LOG COMMAND...
start() {
    ip netns exec "$net-$1" "${@:3}" >"$2" 2>&1 &
    pids+=("$!")
}

n_steps() {
    if [ -e out/metrics.jsonl ]; then wc -l <out/metrics.jsonl; else echo 0; fi
}

# wait_steps N: more than N steps are done.
wait_steps() {
    until [ "$(n_steps)" -gt "$1" ]; do sleep 0.005; done
}

# shellcheck source=tests/cluster/netns.bash
. "$here/netns.bash"
if [ "${1:-}" = --cable ]; then
    fail=(unplug one) heal=(plug one)
    shift
fi
work=$(mktemp -d)
trap 'clean_up 2>/dev/null' EXIT
trap 'exit 130' INT TERM
cd "$work"
"$DROVER" data synth digits --train-rows 6000 --test-rows 10 >synth.log
net_up server one
start server server.log "$DROVER" server --data digits --output out --steps 1000000000 \
    --set training.block_rows=240 --set checkpoint.every_steps=0 --bind tcp://0.0.0.0:5570
start one one.log "$DROVER" worker "tcp://${address[server]}:5570"
for seconds; do
    wait_steps $(($(n_steps) + 20))
    "${fail[@]}"
    sleep "$seconds"
    n=$(n_steps)
    "${heal[@]}"
    healed_ms=$(date +%s%3N)
    wait_steps "$n"
    printf '%s s: %d ms\n' "$seconds" $(($(date +%s%3N) - healed_ms))
done
