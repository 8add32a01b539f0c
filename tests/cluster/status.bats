# drover status of real servers and relays: what they say of the run, of their members and of waits.
load ../helpers
load cluster

settings=(--set training.block_rows=240 --set training.steps=2000)

setup_file() {
    make_data 6000
}

# status ENDPOINT: the report as JSON in $work/report.
report() {
    "$DROVER" status "$1" --json >"$work/report"
}

# field EXPRESSION: of the last report, in Python's words.
field() {
    "$python" -c 'import json, sys
report = json.load(open(sys.argv[1]))
print(eval(sys.argv[2], {"r": report, "m": {m["name"]: m for m in report["members"]}}))' \
        "$work/report" "$1"
}

# says EXPRESSION VALUE: a report now has it.
says() {
    report "$endpoint" && [ "$(field "$1")" = "$2" ]
}

@test "a server that waits for workers says so, and who is there" {
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" \
        --bind "ipc://$work/s" --set server.min_workers=2
    says 'r["waiting_for"]' 'workers: 0 of 2 there'
    start_worker one --threads 2
    wait_for 20 says '[m["one"]["state"], m["one"]["threads"], r["role"], r["step"], r["n_steps"]]' \
        "['active', 2, 'server', 0, 2000]"
    [ "$(field 'r["waiting_for"]')" = 'workers: 1 of 2 there' ]
    run "$DROVER" status "$endpoint"
    expect_status 0
    [[ $output == *'waiting for workers: 1 of 2 there'* ]]
    start_worker two
    wait_for 20 says 'r["step"] > 3 and r["rows_per_s"] > 0 and 0 < r["cost"] < 5 and r["eta_s"] > 0' True
    [ "$(field 'r["waiting_for"]')" = '' ]
    [ "$(field 'm["two"]["assigned"] > 0 and m["two"]["relay"]')" = False ]
}

@test "a step that waits names whom it waits for, in status and in the log" {
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" \
        --bind "ipc://$work/s"
    start_worker sole
    wait_for 20 says 'r["step"] > 3' True
    signal sole STOP
    wait_for_line 20 server ' step\.waiting .* sole '
    wait_for 20 says '"sole (" in r["waiting_for"] and m["sole"]["state"]' silent
    signal sole CONT
    wait_for 20 says 'r["waiting_for"]' ''
}

@test "a relay is one member of the server, and says what is below it" {
    start_server server --data "$BATS_FILE_TMPDIR/digits" --output out "${settings[@]}" \
        --bind "ipc://$work/s"
    local above=$endpoint
    start_relay rack "$above" --bind "ipc://$work/r"
    says '[r["role"], r["upstream"], r["n_members"], r["waiting_for"]]' "['relay', '$above', 0, 'workers']"
    start_worker one
    start_worker two
    wait_for 20 says 'sorted(m)' "['one', 'two']"
    wait_for 20 says 'r["step"] > 3 and r["waiting_for"]' ''
    endpoint=$above
    wait_for 20 says '[list(m), m["rack"]["relay"]]' "[['rack'], True]"
}
