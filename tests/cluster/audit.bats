# The audit: a worker that flips one bit in one partial of fifty is found, named and sent away.
load ../helpers
load cluster

# 63 blocks, which four workers audit one by one. The network is small so that 500 steps are short.
settings=(--set training.block_rows=60 --set training.steps=500 --set checkpoint.every_steps=0
    --set training.bold_driver.up=1 --set training.bold_driver.down=0.999
    --set 'model.layers=[{units: 4, activation: tanh}, {units: 10, activation: sigmoid}]')

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/digits" --train-rows 3780 --test-rows 100 --seed 3
    "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --output "$BATS_FILE_TMPDIR/calm" \
        "${settings[@]}"
}

server() {
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" \
        --bind "ipc://$work/s" "$@"
}

liar=${DROVER_BINARY_DIR:-$DROVER_SOURCE_DIR/build/release}/tests/liar

# start_liar [ONE_IN]: a worker of $endpoint called liar, see liar.c.
start_liar() {
    start_background liar env ONE_IN="${1:-50}" "$liar" "$endpoint" --name liar
}

four_with_a_liar() {
    server --set server.min_workers=4 "$@"
    start_worker one
    start_worker two
    start_worker three
    start_liar
}

sum() {
    metric out "$1" | awk '{ n += $1 } END { print n }'
}

# Only where a busy machine stops workers, which are late then, may one be all that is heard of.
nearly_all_audited() {
    [ "$(sum unaudited)" = 0 ] || grep -q ' worker\.late ' server.log
    [ "$(sum unaudited)" -lt $(($(sum audited) / 10)) ]
}

@test "a twentieth is audited: the liar is found, named and sent away, and the run goes on" {
    four_with_a_liar --set server.audit=0.05
    ends_well 120 server one two three
    wait_exit 20 liar
    expect_status 1
    # Named with step and node; nobody else was.
    [ "$(grep -c ' audit\.liar ' server.log)" -eq 1 ]
    grep -qE ' audit\.liar name=liar host=[^ ]+ step=[0-9]+ node=\([0-9]+,[0-9]+\)' server.log
    grep -qE ' audit\.differs step=[0-9]+ node=.* between=.*liar' server.log
    grep -qE 'quarantined: of node \([0-9]+,[0-9]+\) of step [0-9]+ two others' liar.log
    [ "$(wc -l <out/metrics.jsonl)" -eq 500 ]
    [ "$(metric out workers | head -n 1)" = 4 ]
    [ "$(metric out workers | tail -n 1)" = 3 ]
    nearly_all_audited
    # About a twentieth of 63 blocks in 500 steps, for three workers two blocks a node.
    local audited
    audited=$(sum audited)
    [ "$audited" -gt 600 ]
    [ "$audited" -lt 1700 ]
}

@test "all is audited: no lie counts" {
    four_with_a_liar --set server.audit=1
    ends_well 120 server one two three
    [ "$(grep -c ' audit\.liar name=liar ' server.log)" -eq 1 ]
    [ "$(metric out audited | sort -nu | head -n 1)" -ge 32 ]
    nearly_all_audited
    cmp "$BATS_FILE_TMPDIR/calm/model.safetensors" out/model.safetensors
}

@test "the audit changes no bit, whoever computes" {
    local audit
    for audit in 0.01 1; do
        rm -rf out
        "$DROVER" train --data "$BATS_FILE_TMPDIR/digits" --output out --workers 3 \
            "${settings[@]}" --set training.steps=60 --set server.audit="$audit"
        [ "$(sum audited)" -gt 0 ]
        mv out "with-$audit"
    done
    cmp with-0.01/model.safetensors with-1/model.safetensors
}

@test "without an audit nothing notices, and the model is another one" {
    four_with_a_liar
    ends_well 120 server one two three
    ends_well 20 liar
    grep -q ' liar\.lies ' liar.log
    run ! grep -qE 'audit\.|refused' server.log
    [ "$(metric out refused | sort -u)" = 0 ]
    [ "$(metric out audited | sort -u)" = 0 ]
    run ! cmp -s "$BATS_FILE_TMPDIR/calm/model.safetensors" out/model.safetensors
}

@test "a relay audits its own workers: it is they who are named, not the relay" {
    server --set server.audit=0.05
    start_relay relay "$endpoint" --bind "ipc://$work/r"
    start_worker one
    start_worker two
    start_worker three
    start_liar 20
    ends_well 120 server relay one two three
    wait_exit 20 liar
    expect_status 1
    grep -q ' audit\.liar name=liar ' relay.log
    run ! grep -q ' audit\.liar ' server.log
}

@test "an audit of workers that may differ is refused" {
    run --separate-stderr -- "$DROVER" server --data "$BATS_FILE_TMPDIR/digits" --output out \
        --set server.audit=0.1 --set numerics.mode=fast
    expect_status 2
    grep -q 'server.audit is 0.1 and numerics.mode is fast' <<<"$stderr"
}
