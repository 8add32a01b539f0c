# The kernel that a run's bits come from: chosen well, obeyed when it was asked for, the same for all.
load ../helpers
load cluster

setup_file() { "$DROVER" data synth "$BATS_FILE_TMPDIR/good" --train-rows 600 --test-rows 10; }

test_setup() {
    data=$BATS_FILE_TMPDIR/good
    unset OPENBLAS_CORETYPE
}

# has FLAG...: does the CPU have these instructions?
has() {
    local flag
    for flag; do
        grep -m 1 '^flags' /proc/cpuinfo | grep -qw -- "$flag" || return 1
    done
}

# kernel_of FOLDER: what the model's metadata says.
kernel_of() {
    "$python" -c '
import json, struct, sys
data = open(sys.argv[1] + "/model.safetensors", "rb").read()
print(json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]["kernel"])' "$1"
}

train() {
    "$DROVER" train --data "$data" --steps 3 --set numerics.kernel=dense --output "$@"
}

@test "the best kernel of the CPU is taken, whatever OpenBLAS thinks of it" {
    local best
    if has avx512f avx512cd avx512bw avx512dq avx512vl; then
        best=SkylakeX
    elif has avx2 fma; then
        best=Haswell
    else
        skip "needs a CPU with AVX2"
    fi
    run -0 train out
    [ "$(kernel_of out)" = "dense/$best" ]
    grep -q " worker\.joined name=local-1 .* kernel=dense/$best " <<<"$output"
    grep -qE "^ *kernel *dense/$best\$" <<<"$output"
    # OpenBLAS alone, on a CPU that it does not know, may take its SSE3 kernels
    run -0 env OPENBLAS_CORETYPE=Prescott "$DROVER" train --data "$data" --steps 3 \
        --set numerics.kernel=dense --output slow
    [ "$(kernel_of slow)" = dense/Prescott ]
    run ! cmp -s <(tail -c 203560 out/model.safetensors) <(tail -c 203560 slow/model.safetensors)
}

@test "OPENBLAS_CORETYPE is the user's to set" {
    has avx2 fma || skip "needs a CPU with AVX2"
    OPENBLAS_CORETYPE=Haswell train out --workers 2
    [ "$(kernel_of out)" = dense/Haswell ]
    OPENBLAS_CORETYPE=haswell train lower
    cmp out/model.safetensors lower/model.safetensors
}

@test "a worker takes over the job's kernel when its CPU can run it" {
    has avx2 fma || skip "needs a CPU with AVX2"
    OPENBLAS_CORETYPE=Prescott train alone
    start_server server --data "$data" --set numerics.kernel=dense --output out --steps 3 --bind "ipc://$work/control" \
        --set server.min_workers=2
    OPENBLAS_CORETYPE=Prescott start_worker first
    wait_for_line 10 server ' worker\.joined name=first .*kernel=dense/Prescott'
    start_worker second
    wait_for_line 10 server ' worker\.joined name=second .*kernel=dense/Prescott'
    ends_well 30 server
    [ "$(kernel_of out)" = dense/Prescott ]
    cmp alone/model.safetensors out/model.safetensors
}

@test "a worker that cannot run the job's kernel is refused, in strict mode only" {
    local peer=("$python" "$DROVER_SOURCE_DIR/tests/python/scripted_peer.py")
    start_server server --data "$data" --set numerics.kernel=dense --output out --bind "ipc://$work/control" \
        --set server.min_workers=9
    start_worker first
    wait_for_line 10 server ' worker\.joined name=first '
    job=$(sed -n 's/.* worker\.joined name=first .* kernel=\([^ ]*\) .*/\1/p' server.log)
    run -0 "${peer[@]}" hello "$endpoint" --kernel dense/Other
    [ "$output" = "REFUSED 3 $job kernel dense/Other, expected $job" ]
    start_server fast --data "$data" --set numerics.kernel=dense --output other --bind "ipc://$work/elsewhere" \
        --set server.min_workers=9 --set numerics.mode=fast
    start_worker second
    wait_for_line 10 fast ' worker\.joined name=second '
    run -0 "${peer[@]}" hello "$endpoint" --kernel dense/Other
    [[ $output == 'WELCOME '* ]]
}

@test "a kernel that no worker can run: both sides say so" {
    start_server server --data "$data" --set numerics.kernel=dense --output out --bind "ipc://$work/control"
    start_background other "$python" "$DROVER_SOURCE_DIR/tests/python/drover_worker.py" \
        "$endpoint" other dense/Impossible
    wait_for_line 10 server ' worker\.joined name=other '
    run --separate-stderr -1 timeout 20 "$DROVER" worker "$endpoint" --log-level error
    [[ $stderr =~ ^"drover worker: $endpoint: the server refuses this worker: kernel dense/"[A-Za-z]+", expected dense/Impossible"$ ]]
}

@test "for a core type that it does not have OpenBLAS takes another, and its name is told" {
    start_server server --data "$data" --set numerics.kernel=dense --output out --steps 3 --bind "ipc://$work/control"
    OPENBLAS_CORETYPE=Nonsense start_worker first
    ends_well 30 server
    ends_well 10 first
    [[ $(kernel_of out) =~ ^dense/[A-Z][A-Za-z]+$ ]]
    [ "$(kernel_of out)" != dense/Nonsense ]
    grep -qE " blas\.core +OpenBLAS runs its [A-Za-z]+ kernels though Nonsense was asked for" first.log
}

@test "the sparse kernel: the same bytes on every CPU, also of workers side by side" {
    local path
    for path in c avx2 avx512; do # what the CPU does not have is the next best
        DROVER_SIMD=$path "$DROVER" train --data "$data" --steps 3 --output $path
        [ "$(kernel_of $path)" = sparse ]
        cmp c/model.safetensors $path/model.safetensors
    done
    start_server server --data "$data" --output out --steps 3 --bind "ipc://$work/control" \
        --set server.min_workers=3
    for path in c avx2 avx512; do
        DROVER_SIMD=$path start_worker $path
    done
    ends_well 30 server
    [ "$(grep -c ' worker\.joined .* kernel=sparse ' server.log)" -eq 3 ]
    cmp c/model.safetensors out/model.safetensors
}

@test "the sparse kernel learns what the dense one does" {
    local kernel
    for kernel in dense sparse; do
        "$DROVER" train --data "$data" --steps 10 --set numerics.kernel=$kernel --output $kernel
    done
    "$python" - <<'END'
import numpy as np
dense, sparse = (np.frombuffer(open(name + "/model.safetensors", "rb").read()[-203560:], "<f4")
                 for name in ("dense", "sparse"))
assert 0 < np.abs(dense - sparse).max() < 1e-4, np.abs(dense - sparse).max()
END
    run -1 "$DROVER" train --data "$data" --steps 11 --set numerics.kernel=dense --resume sparse
    [[ $output == *'another numerics.kernel'* ]]
    "$DROVER" train --data "$data" --steps 11 --resume sparse
    [ "$(kernel_of sparse)" = sparse ]
}

@test "the kernel is chosen by how much of the data is not zero" {
    "$python" - <<'END'
import os, struct
os.mkdir("full")
for role, n in ("train", 300), ("t10k", 10):
    with open(f"full/{role}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">IIII", 2051, n, 28, 28) + bytes(range(1, 197)) * 4 * n)
    with open(f"full/{role}-labels-idx1-ubyte", "wb") as file:
        file.write(struct.pack(">II", 2049, n) + bytes(i % 10 for i in range(n)))
END
    "$DROVER" train --data full --steps 2 --output full.run
    [[ $(kernel_of full.run) =~ ^dense/ ]]
    "$DROVER" train --data full --steps 2 --set numerics.kernel=sparse --output other.run
    [ "$(kernel_of other.run)" = sparse ]
}

@test "a worker takes the sparse kernel in a fast run as well" {
    start_server server --data "$data" --output out --steps 3 --bind "ipc://$work/control" \
        --set numerics.mode=fast
    start_worker first
    ends_well 30 server
    grep -q ' worker\.joined name=first .* kernel=sparse ' server.log
    run ! grep -q ' worker\.kernel ' server.log
    "$DROVER" train --data "$data" --steps 3 --output strict
    cmp strict/model.safetensors out/model.safetensors
}
