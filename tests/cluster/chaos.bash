# shellcheck shell=bash
# What the rehearsals of faults share; load it behind cluster.

# rehearse NAME WORKERS PLAN ARGUMENT...: a run with faults, its log in NAME.log, into NAME; it must
# end by itself, and say which plan it had.
rehearse() {
    local name=$1 workers=$2 plan=$3
    shift 3
    echo "# $name: $plan" >&3
    start_background "$name" "$DROVER" train --workers "$workers" --output "$name" --chaos "$plan" "$@"
    ends_well "${rehearse_seconds:-60}" "$name"
    grep -qF " chaos.plan process=train plan=$plan" "$name.log"
}

# injected NAME KIND: how many faults of a kind (drops, delays, duplicates, corruptions, kills,
# stalls) the processes of the run say they injected, each in the last line that it wrote.
injected() {
    awk -v kind="$2" '
        / chaos\.(counts|done) / {
            process = ""
            for (i = 1; i <= NF; i++) {
                if (split($i, pair, "=") != 2) continue
                if (pair[1] == "process" || pair[1] == "pid") process = process " " pair[2]
                if (pair[1] == kind) count[process] = pair[2]
            }
        }
        END { for (process in count) sum += count[process]; print sum + 0 }' "$1.log"
}

# injected_at_least NAME KIND=N...: so many of each.
injected_at_least() {
    local name=$1 wanted n
    shift
    for wanted; do
        n=$(injected "$name" "${wanted%=*}")
        echo "# $name: ${wanted%=*} $n, expected at least ${wanted#*=}" >&3
        [ "$n" -ge "${wanted#*=}" ]
    done
}

# same_as_calm CALM FOLDER: the model and the histories are those of the calm run, and so is the
# ledger: each step once, over all its blocks and rows.
same_as_calm() {
    same_run "$1" "$2"
    paste -d ' ' <(metric "$1" step) <(metric "$1" blocks) <(metric "$1" rows) >calm.ledger
    paste -d ' ' <(metric "$2" step) <(metric "$2" blocks) <(metric "$2" rows) >ledger
    cmp calm.ledger ledger
    [ "$(cut -d ' ' -f 1 ledger | tr '\n' ' ')" = "$(seq -s ' ' "$(wc -l <ledger)") " ]
    [ "$(cut -d ' ' -f 2 ledger | sort -u | wc -l)" -eq 1 ]
}
