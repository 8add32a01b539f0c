#!/usr/bin/env bats
# Training that begins with given weights: the bits depend on what the file holds, and on nothing else
# that is new.
load ../helpers
load cluster

setup_file() {
    make_data 2000
    cd "$BATS_FILE_TMPDIR" || return
    "$DROVER" train --data digits --steps 12 --output before --set training.seed=99
    "$python" - before/model.safetensors <<'END'
import json
import struct
import sys

import numpy

data = open(sys.argv[1], "rb").read()
(n,) = struct.unpack_from("<Q", data)
header = json.loads(data[8 : 8 + n])
del header["__metadata__"]
arrays = {
    name: numpy.frombuffer(data, "<f4", offset=8 + n + entry["data_offsets"][0],
                           count=int(numpy.prod(entry["shape"]))).reshape(entry["shape"])
    for name, entry in header.items()
}
numpy.savez("weights.npz", **arrays)
numpy.savez_compressed("wide.npz", **{k: numpy.asfortranarray(a, "f8") for k, a in arrays.items()})
numpy.savez("more.npz", **arrays, **{"layer3.bias": numpy.zeros(4, "f4")})
numpy.savez("names.npz", **{k.replace("layer", "fc"): a for k, a in arrays.items()})
broken = arrays["layer1.bias"].copy()
broken[5] = numpy.nan
numpy.savez("nan.npz", **{**arrays, "layer1.bias": broken})
numpy.savez("turned.npz", **{k: a.T for k, a in arrays.items()})
END
}

test_setup() {
    from=$BATS_FILE_TMPDIR
    data_of digits
}

train() {
    "$DROVER" train --data "$data" --steps 15 "$@"
}

@test "the same weights from any file, for any number of workers: the same bits" {
    train --init "$from/before/model.safetensors" --output one --workers 1
    train --init "$from/before" --output folder --workers 3
    train --init "$from/before/checkpoint/step-0000000012.safetensors" --output checkpoint
    train --init "$from/weights.npz" --output npz --workers 2
    train --set model.init_file="$from/wide.npz" --output wide
    same_run one folder checkpoint npz wide
    train --output drawn
    run ! cmp -s drawn/cost_history/part-00000 one/cost_history/part-00000
}

@test "the first step's cost is that of the given weights" {
    train --init "$from/before" --output run --set training.sample=1 --steps 1
    "$DROVER" evaluate "$from/before" "$data" --train --json >evaluation.json
    "$python" - evaluation.json "$(cat run/cost_history/part-00000)" <<'END'
import json
import sys

cost, first = json.load(open(sys.argv[1]))["cost"], float(sys.argv[2])
assert abs(cost - first) < 1e-6 * cost, (cost, first)
END
}

@test "such a run goes on with the bits of one that did not stop, with its file or without" {
    cp -r "$from/before" start
    train --init start --output calm
    train --init start --output split --steps 6
    cp -r split gone
    cp -r split changed
    "$DROVER" train --resume split --steps 15 --workers 2
    cmp calm/model.safetensors split/model.safetensors
    run "$DROVER" train --resume gone --init start
    expect_status 2
    [ "$output" = 'drover train: --init start begins a training and --resume gone goes on with one; expected one of the two' ]
    run "$DROVER" train --resume gone --set model.init_file=
    expect_status 1
    [ "$output" = "drover server: gone: its checkpoint is of another model.init_file than this run's" ]
    rm -r start
    "$DROVER" train --resume gone --steps 15
    cmp calm/model.safetensors gone/model.safetensors
    cp -r calm start # another file in its place
    run "$DROVER" train --resume changed
    expect_status 1
    grep -qx 'drover server: changed: its checkpoint is of another model.init_file than start is now' <<<"$output"
}

@test "a killed server begins again with the same weights" {
    local steps=$((DROVER_SLOWNESS > 1 ? 150 : 1500)) # not over when the server is killed
    train --init "$from/weights.npz" --output calm --steps "$steps"
    start_background run "$DROVER" train --data "$data" --steps "$steps" --init "$from/weights.npz" \
        --output killed --workers 2
    wait_for 30 steps_done killed 30
    wait_for 30 kill_child run 'drover server'
    ends_well 60 run
    cmp calm/model.safetensors killed/model.safetensors
}

# refused TEXT ARGUMENT...: a training so called fails with this line, and leaves no folder.
refused() {
    local text=$1
    shift
    run train --output bad "$@"
    expect_status 1
    grep -qxF "drover server: $text" <<<"$output" || { echo "$output"; return 1; }
    [ ! -e bad ]
}

@test "weights that do not fit are named, with the shape that they have and the one expected" {
    cd "$from"
    local layers='model.layers=[{units: 32, activation: tanh}, {units: 10, activation: sigmoid}]'
    refused "model.init_file: weights.npz: tensor 'layer1.weight' has the shape (784, 64), expected (784, 32)" \
        --init weights.npz --set "$layers"
    refused "model.init_file: before/model.safetensors: tensor 'layer1.weight' has the shape (784, 64), expected (784, 32)" \
        --init before/model.safetensors --set "$layers"
    refused "model.init_file: turned.npz: tensor 'layer1.weight' has the shape (64, 784), expected (784, 64)" \
        --init turned.npz
    refused "model.init_file: names.npz: no tensor 'layer1.weight', expected one of shape (784, 64)" \
        --init names.npz
    refused "model.init_file: more.npz: tensor 'layer3.bias' of shape (4) is none of the network's, 784-64 tanh-10 sigmoid, expected only those" \
        --init more.npz
    refused "model.init_file: nan.npz: tensor 'layer1.bias' has nan at index 5, expected finite numbers" \
        --init nan.npz
    refused "model.init_file: none.npz: cannot open: No such file or directory" --init none.npz
    head -c 10000 weights.npz >short.npz
    run train --output bad --init short.npz
    expect_status 1
    grep -q '^drover server: model.init_file: short.npz: damaged or truncated npz: ' <<<"$output"
    { head -c 5000 before/model.safetensors; printf x; tail -c +5002 before/model.safetensors; } >flipped
    refused "model.init_file: flipped: damaged: it does not hold what was written" --init flipped
    run train --init before --output before
    expect_status 1
    grep -qxF "drover server: model.init_file: before is in the run's own folder, before, which it clears; expected another" <<<"$output"
    [ -s before/model.safetensors ]
}

@test "import makes a model of weights, to be used as any other" {
    "$DROVER" import "$from/weights.npz" model.safetensors
    "$DROVER" evaluate model.safetensors "$data" >imported
    "$DROVER" evaluate "$from/before" "$data" >own
    cmp imported own
    train --init model.safetensors --output one
    train --init "$from/before" --output two
    cmp one/model.safetensors two/model.safetensors
    # the activations are what we say that they are
    "$DROVER" import "$from/weights.npz" other.safetensors \
        --layers '[{units: 64, activation: sigmoid}, {units: 10, activation: sigmoid}]'
    "$DROVER" evaluate other.safetensors "$data" >other
    run ! cmp -s other own
    "$DROVER" import "$from/weights.npz" other.safetensors "$DROVER_SOURCE_DIR/config/mnist.yaml"
    cmp model.safetensors other.safetensors
    local text
    while IFS='|' read -r file text; do
        run "$DROVER" import "$from/$file" other.safetensors
        expect_status 1
        [ "$output" = "drover import: $from/$file: $text" ] || { echo "$output"; return 1; }
    done <<'TABLE'
before/model.safetensors|a model of drover already, expected weights of another program
names.npz|no tensor 'layer1.weight', but 'fc1.bias'; expected names as in docs/models.md
more.npz|tensor 'layer3.bias' of shape (4) is none of the network's, 784-64 tanh-10 sigmoid, expected only those
turned.npz|tensor 'layer1.weight' has the shape (64, 784), expected (64, 64)
TABLE
    cmp model.safetensors other.safetensors # none of them touched it
    run "$DROVER" import "$from/weights.npz" other.safetensors --layers '[{units: many}]'
    expect_status 2
    [ "${#lines[@]}" -eq 1 ]
}
