# A rehearsal that takes minutes: the whole of MNIST under more than a thousand faults.
load ../helpers
load cluster
load chaos

settings=(--set training.steps=350 --set checkpoint.every_steps=2)
rehearse_seconds=540

@test "1,000 faults, 20 deaths of the server and 100 of workers" {
    need_mnist
    "$DROVER" train --data "$DROVER_DATA" --workers 2 --output calm "${settings[@]}"
    rehearse run 6 seed=11,kill=0.3,stall=0.1:500ms,drop=0.02,delay=0.05:50ms,duplicate=0.02,corrupt=0.02 \
        --data "$DROVER_DATA" "${settings[@]}"
    same_as_calm calm run
    injected_at_least run kills=120 stalls=10 drops=200 delays=400 duplicates=200 corruptions=200
    local servers workers
    servers=$(grep -c ' chaos\.kill name=server ' run.log)
    workers=$(grep -c ' chaos\.kill name=local-' run.log)
    echo "# kills: $servers of the server, expected 20, and $workers of workers, expected 100" >&3
    [ "$servers" -ge 20 ]
    [ "$workers" -ge 100 ]
}
