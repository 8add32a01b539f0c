#!/usr/bin/env bats
# Every command of README.md, in its order, as a reader would type them. Changed only so that the
# test stays small and among itself: fewer digits and steps, loopback and a free port, commands of
# the build in the source tree (where the release build is there already), a home of its own.
load ../helpers

test_setup() {
    export HOME=$work DROVER_SKIP_SETUP=1 DROVER_DATA=$work/digits
    PATH=$HOME/.local/bin:$PATH
    ln -s "$DROVER_SOURCE_DIR/config" config
}

# The lines of README.md's sh blocks.
commands() {
    awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$DROVER_SOURCE_DIR/README.md"
}

run_command() {
    local line=$1
    case $line in
    scripts/test*) # this test is a part of what it runs
        "$DROVER_SOURCE_DIR/scripts/test" --help
        ;;
    scripts/train)
        "$DROVER" data synth digits --train-rows 2000 --test-rows 300
        eval "$DROVER_SOURCE_DIR/$line --steps 3 --output trained"
        ;;
    scripts/*)
        eval "$DROVER_SOURCE_DIR/$line"
        ;;
    cmake*)
        (cd "$DROVER_SOURCE_DIR" && eval "$line")
        ;;
    'drover data synth digits')
        rm -r digits
        eval "$line --train-rows 2000 --test-rows 300"
        ;;
    'drover server '*)
        # shellcheck disable=SC2086
        start_background server ${line/tcp:\/\/0.0.0.0:5570/tcp:\/\/127.0.0.1:*}
        wait_for_line 20 server 'server.bound'
        endpoint=$(sed -n 's/.*server.bound endpoint=//p' server.log)
        ;;
    'drover relay '*)
        line=${line/tcp:\/\/server-host:5570/$endpoint}
        # shellcheck disable=SC2086
        start_background relay ${line/tcp:\/\/0.0.0.0:5580/tcp:\/\/127.0.0.1:*}
        wait_for_line 20 relay 'relay.bound'
        ;;
    'drover worker '*)
        eval "${line/tcp:\/\/server-host:5570/$endpoint}"
        wait_exit 20 server
        [ "$status" -eq 0 ]
        ;;
    'drover '*)
        eval "$line"
        ;;
    *)
        echo "README.md has a command that this test does not know: $line"
        return 1
        ;;
    esac
}

@test "every command of the README works" {
    local n=0 line
    while read -r -u 4 line; do
        echo "\$ $line"
        run_command "$line" </dev/null
        n=$((n + 1))
    done 4< <(commands)
    [ "$n" -ge 14 ]
    [ -s out/model.safetensors ]
    [ -s out-csv/model.safetensors ]
    cmp out-csv/model.safetensors out-cluster/model.safetensors
    cmp <(head -n 100 out/cost_history/part-00000) out-csv/cost_history/part-00000
    [ "$(wc -l <out/cost_history/part-00000)" -eq 120 ]
}

@test "pictures and pages that the README names are there" {
    local path n=0
    while read -r path; do
        [ -s "$DROVER_SOURCE_DIR/$path" ] || { echo "missing: $path"; return 1; }
        n=$((n + 1))
    done < <(grep -oE '\]\(docs/[^)]+\)' "$DROVER_SOURCE_DIR/README.md" | tr -d '()]')
    [ "$n" -ge 5 ]
}
