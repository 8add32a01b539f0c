# Model files in the hands of others: the public libraries read what drover writes, and find in it
# what drover finds.
load ../helpers

convolutions='[{conv: {filters: 6, size: 5, stride: 2, padding: 2}, activation: relu, dropout: 0.1},
  {max_pool: {size: 3, stride: 2}}, {conv: {filters: 8, padding: 1}, activation: softmax},
  {units: 24, activation: gelu, dropout: 0.2}, {units: 10, activation: softmax}]'
# a pool of the input, one that jumps and one that overlaps, a convolution behind units
pools='[{max_pool: {size: 2, stride: 3}}, {conv: {filters: 5, size: 4}, activation: gelu},
  {max_pool: {size: 2, stride: 1}}, {units: 20, activation: leaky_relu},
  {conv: {filters: 12, padding: 2, stride: 2}, activation: tanh}, {units: 10, activation: sigmoid}]'

setup_file() {
    make_venv formats
    cd "$BATS_FILE_TMPDIR" || return
    "$DROVER" data synth digits --train-rows 2000 --test-rows 200
    "$DROVER" train --data digits --steps 20 --output run \
        --set 'model.layers=[{units: 20, activation: tanh}, {units: 12, activation: sigmoid}, {units: 10, activation: sigmoid}]'
    "$DROVER" train --data digits --steps 20 --output convolutions --set model.init=he \
        --set model.loss=cross_entropy --set "model.layers=$convolutions"
    "$DROVER" train --data digits --steps 20 --output pools --set model.init=he \
        --set "model.layers=$pools"
}

test_setup() {
    need_venv formats
    run=$BATS_FILE_TMPDIR/run
    digits=$BATS_FILE_TMPDIR/digits
    # The architecture from the metadata, and a forward pass by nothing but that and the tensors.
    cat >reader.py <<'END'
import json
import sys

import numpy
from safetensors import safe_open


def softmax(z):
    powers = numpy.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


ACTIVATIONS = {
    "tanh": numpy.tanh,
    "sigmoid": lambda z: 1 / (1 + numpy.exp(-z)),
    "relu": lambda z: numpy.maximum(z, 0),
    "leaky_relu": lambda z: numpy.where(z > 0, z, 0.01 * z),
    "gelu": lambda z: z / 2 * (1 + numpy.tanh((2 / numpy.pi) ** 0.5 * (z + 0.044715 * z**3))),
    "softmax": softmax,
}


def read(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}


# what a window sees: (N, rows, columns, channels, size, size)
def windows(x, size, stride, padding=0):
    x = numpy.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return numpy.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]


def forward(metadata, tensors, x):
    channels = 3 if x.shape[1] % 3 == 0 else 1
    side = round((x.shape[1] / channels) ** 0.5)
    x = x.reshape(-1, side, side, channels)
    for layer in range(1, int(metadata["layers"]) + 1):
        prefix = f"layer{layer}."
        size, stride, padding = (int(metadata.get(prefix + key, 0)) for key in ("size", "stride", "padding"))
        kind = metadata[prefix + "kind"]
        if kind == "max_pool":
            x = windows(x, size, stride).max((-2, -1))
            continue
        weight = tensors[prefix + "weight"].astype("f8")
        if kind == "conv":
            z = numpy.einsum("nrkchw,hwcf->nrkf", windows(x, size, stride, padding), weight)
        else:
            assert kind == "dense"
            z = x.reshape(len(x), 1, 1, -1) @ weight
        x = ACTIVATIONS[metadata[prefix + "activation"]](z + tensors[prefix + "bias"])
    return x.reshape(len(x), -1)


def images(path):
    data = open(path, "rb").read()
    return numpy.frombuffer(data, "u1", offset=16).reshape(int.from_bytes(data[4:8], "big"), -1) / 255
END
}

@test "Python's safetensors opens a trained model: names, shapes, values, the whole network" {
    "$DROVER" predict "$run" "$digits/t10k-images-idx3-ubyte" --json >predictions.json
    "$venv_bin/python" - "$run/model.safetensors" "$digits/t10k-images-idx3-ubyte" <<'END'
from reader import *

metadata, tensors = read(sys.argv[1])
assert {name: t.shape for name, t in tensors.items()} == {
    "layer1.weight": (784, 20), "layer1.bias": (20,),
    "layer2.weight": (20, 12), "layer2.bias": (12,),
    "layer3.weight": (12, 10), "layer3.bias": (10,)}, tensors
assert all(t.dtype == "float32" for t in tensors.values())
expected = {"format": "drover", "format_version": "1", "step": "20", "inputs": "784", "layers": "3",
            "layer1.units": "20", "layer1.activation": "tanh",
            "layer2.units": "12", "layer3.activation": "sigmoid"}
assert expected.items() <= metadata.items(), metadata
# the values: they give drover's own outputs
scores = forward(metadata, tensors, images(sys.argv[2]))
theirs = json.load(open("predictions.json"))
assert len(theirs) == len(scores) == 200
assert numpy.abs(scores - [p["scores"] for p in theirs]).max() < 1e-5
assert [p["class"] for p in theirs] == scores.argmax(1).tolist()
END
}

@test "and a model of convolutions and pools" {
    for network in convolutions pools; do
        "$DROVER" predict "$BATS_FILE_TMPDIR/$network" "$digits/t10k-images-idx3-ubyte" --json >predictions.json
        "$venv_bin/python" - "$BATS_FILE_TMPDIR/$network/model.safetensors" "$digits/t10k-images-idx3-ubyte" <<'END'
from reader import *

scores = forward(*read(sys.argv[1]), images(sys.argv[2]))
theirs = json.load(open("predictions.json"))
assert len(theirs) == len(scores) == 200
assert numpy.abs(scores - [p["scores"] for p in theirs]).max() < 1e-5
assert [p["class"] for p in theirs] == scores.argmax(1).tolist()
END
    done
    "$venv_bin/python" - "$BATS_FILE_TMPDIR/convolutions/model.safetensors" <<'END'
from reader import *

metadata, tensors = read(sys.argv[1])
assert {name: t.shape for name, t in tensors.items()} == {
    "layer1.weight": (5, 5, 1, 6), "layer1.bias": (6,),
    "layer3.weight": (3, 3, 6, 8), "layer3.bias": (8,),
    "layer4.weight": (6 * 6 * 8, 24), "layer4.bias": (24,),
    "layer5.weight": (24, 10), "layer5.bias": (10,)}, tensors
expected = {"layer1.kind": "conv", "layer1.units": "6", "layer1.size": "5", "layer1.stride": "2",
            "layer1.padding": "2", "layer1.activation": "relu", "layer2.kind": "max_pool",
            "layer2.size": "3", "layer2.stride": "2", "loss": "cross_entropy"}
assert expected.items() <= metadata.items(), metadata
END
}

@test "and a checkpoint" {
    "$venv_bin/python" - "$run/model.safetensors" "$run/checkpoint/step-0000000020.safetensors" <<'END'
from reader import *

metadata, tensors = read(sys.argv[1])
more, same = read(sys.argv[2])
assert tensors.keys() == same.keys() and "bold_driver.rate" in more
assert all((tensors[name] == same[name]).all() for name in tensors)
END
}

# same_as_onnx MODEL IMAGES: the exported model passes ONNX's checker, and a public runtime gives for
# all of IMAGES, a plain IDX file, what `drover predict` gives.
same_as_onnx() {
    "$DROVER" export "$1" --onnx model.onnx
    "$DROVER" predict "$1" "$2" --json >predictions.json
    "$venv_bin/python" - model.onnx "$2" "$("$DROVER" --version)" <<'END'
from reader import *
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

path, x = sys.argv[1], images(sys.argv[2]).astype("f4")
model = onnx.load(path)
onnx.checker.check_model(model, full_check=True)
assert onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
assert [(o.domain, o.version) for o in model.opset_import] == [("", 13)]
metadata = {entry.key: entry.value for entry in model.metadata_props}
assert "drover " + metadata["drover_version"] == sys.argv[3] and metadata["classes"] == "10"
assert metadata["input_range"] == "[0, 1]" and "[0, 1]" in model.graph.input[0].doc_string

session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
(source,), (sink,) = session.get_inputs(), session.get_outputs()
assert (source.name, source.shape, source.type) == ("images", ["N", x.shape[1]], "tensor(float)")
assert (sink.name, sink.shape, sink.type) == ("scores", ["N", 10], "tensor(float)")
theirs = json.load(open("predictions.json"))
expected = numpy.array([p["scores"] for p in theirs])
(scores,) = session.run(None, {"images": x})
assert scores.shape == expected.shape and len(expected) == len(x)
print(f"{len(x)} rows, largest difference {numpy.abs(scores - expected).max():.2e}")
assert numpy.abs(scores - expected).max() < 1e-5
assert numpy.ptp(expected, 0).max() > 0.1  # scores that are all the same would say nothing
assert scores.argmax(1).tolist() == [p["class"] for p in theirs]
(reference,) = ReferenceEvaluator(model).run(None, {"images": x[:100]})
assert numpy.abs(reference - expected[:100]).max() < 1e-5
END
}

@test "an exported model passes ONNX's checker and runs in onnxruntime (digits)" {
    same_as_onnx "$run" "$digits/t10k-images-idx3-ubyte"
}

@test "so do convolutions, pools and every activation" {
    for network in convolutions pools; do
        same_as_onnx "$BATS_FILE_TMPDIR/$network" "$digits/t10k-images-idx3-ubyte"
    done
}

@test "an exported model passes ONNX's checker and runs in onnxruntime (MNIST)" {
    need_mnist
    zcat -f "$DROVER_DATA"/t10k-images-idx3-ubyte* >images
    "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$DROVER_DATA" --workers 2 --output out
    same_as_onnx out images
    [ "$(stat -c %s images)" -eq 7840016 ]
}

@test "imported convolutions over three channels give what safetensors has of them, and ONNX the same" {
    local layers='[{conv: {filters: 5, padding: 1}, activation: relu}, {max_pool: {size: 3}},
      {units: 10, activation: softmax}]'
    "$venv_bin/python" - <<'END'
from reader import *
from safetensors.numpy import save_file

random = numpy.random.default_rng(3)
shapes = {"layer1.weight": (3, 3, 3, 5), "layer1.bias": 5, "layer3.weight": (4 * 4 * 5, 10), "layer3.bias": 10}
save_file({name: random.normal(0, 0.2, shape).astype("f4") for name, shape in shapes.items()}, "theirs.safetensors")
pixels = (random.uniform(0, 1, (50, 1)) * random.integers(0, 256, (50, 12 * 12 * 3))).astype("u1")
head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (50, 12, 36))
open("pictures", "wb").write(head + pixels.tobytes())
END
    run -1 "$DROVER" import theirs.safetensors ours.safetensors --layers "$layers"
    [ "$output" = "drover import: theirs.safetensors: weights do not say how large the images are that a convolution or a pool takes, expected --inputs" ]
    run -1 "$DROVER" import theirs.safetensors ours.safetensors --layers "$layers" --inputs 784
    [ "$output" = "drover import: theirs.safetensors: tensor 'layer1.weight' has the shape (3, 3, 3, 5), expected (3, 3, 1, 5)" ]
    "$DROVER" import theirs.safetensors ours.safetensors --layers "$layers" --inputs 432
    "$DROVER" predict ours.safetensors pictures --json >predictions.json
    "$venv_bin/python" - <<'END'
from reader import *

metadata, tensors = read("ours.safetensors")
assert (metadata["inputs"], tensors["layer1.weight"].shape) == ("432", (3, 3, 3, 5))
scores = forward(metadata, tensors, images("pictures"))
assert numpy.abs(scores - [p["scores"] for p in json.load(open("predictions.json"))]).max() < 1e-5
END
    same_as_onnx ours.safetensors pictures
}

@test "what safetensors and NumPy write, drover takes in: imported, it gives their outputs" {
    "$venv_bin/python" - <<'END'
from reader import *
from safetensors.numpy import save_file

random = numpy.random.default_rng(3)
tensors = {"layer1.weight": random.normal(0, 0.1, (784, 30)), "layer1.bias": random.normal(0, 1, 30),
           "layer2.weight": random.normal(0, 1, (30, 10)), "layer2.bias": random.normal(0, 1, 10)}
tensors = {name: t.astype("f4") for name, t in tensors.items()}
save_file(tensors, "theirs.safetensors", metadata={"format": "np"})
numpy.savez_compressed("theirs.npz", **tensors)
END
    local layers='[{units: 30, activation: tanh}, {units: 10, activation: sigmoid}]'
    "$DROVER" import theirs.safetensors ours.safetensors --layers "$layers"
    "$DROVER" import theirs.npz same.safetensors --layers "$layers"
    cmp ours.safetensors same.safetensors
    "$DROVER" predict ours.safetensors "$digits/t10k-images-idx3-ubyte" --json >predictions.json
    "$venv_bin/python" - ours.safetensors "$digits/t10k-images-idx3-ubyte" <<'END'
from reader import *

_, tensors = read("theirs.safetensors")
metadata, _ = read(sys.argv[1])
scores = forward(metadata, tensors, images(sys.argv[2]))
assert numpy.abs(scores - [p["scores"] for p in json.load(open("predictions.json"))]).max() < 1e-5
END
    same_as_onnx ours.safetensors "$digits/t10k-images-idx3-ubyte"
    "$DROVER" train --data "$digits" --set "model.layers=$layers" --init theirs.npz --steps 2 --output npz
    "$DROVER" train --data "$digits" --set "model.layers=$layers" --init theirs.safetensors --steps 2 --output st
    cmp npz/model.safetensors st/model.safetensors
}
