"""What the peers share: MNIST, drover's parameters, and the bold driver."""

import gzip
import json
import pathlib
import struct

import numpy as np

RATE, UP, DOWN = 0.1, 1.05, 0.5
SAMPLE = 0.7


def read_idx(folder, name):
    """An IDX file of bytes, plain or .gz."""
    path = pathlib.Path(folder) / name
    with (open(path, "rb") if path.exists() else gzip.open(f"{path}.gz", "rb")) as file:
        raw = file.read()
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def read_rows(folder):
    """Images (60000, 784) as bytes, labels (60000)."""
    images = read_idx(folder, "train-images-idx3-ubyte")
    return images.reshape(len(images), -1), read_idx(folder, "train-labels-idx1-ubyte")


def read_parameters(path):
    """W1 (784, 64), b1 (64), W2 (64, 10), b2 (10) of a model.safetensors, float32."""
    raw = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8:start])

    def tensor(name):
        first, end = header[name]["data_offsets"]
        flat = np.frombuffer(raw, "<f4", (end - first) // 4, start + first)
        return flat.reshape(header[name]["shape"]).copy()

    return [tensor(f"layer{layer}.{kind}") for layer in (1, 2) for kind in ("weight", "bias")]


class BoldDriver:
    """From the second step on: the rate grows while the cost falls and is cut when it does not."""

    def __init__(self):
        self.rate, self.cost = RATE, None

    def next(self, cost):
        if self.cost is not None:
            self.rate *= UP if cost < self.cost else DOWN
        self.cost = cost
        return self.rate
