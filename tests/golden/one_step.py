"""Two steps of a run, checked against NumPy in double precision; shares no code with drover.

Usage: one_step.py DUMP_STEP IMAGES LABELS RUN SEED FRACTION BLOCK_ROWS KERNEL

RUN is the output of two steps with a checkpoint each. DUMP_STEP is the program that says what
drover's own code samples and sums in a step. "Relative" means: the largest difference in a tensor
(W1, b1, W2, b2), divided by the largest absolute value in it. Single elements may be sums in which
almost everything cancels, of which no float computation keeps five digits.
"""
import gzip
import json
import struct
import subprocess
import sys

import numpy as np

TENSORS = [("W1", (784, 64)), ("b1", (64,)), ("W2", (64, 10)), ("b2", (10,))]
MASK = 0xFFFFFFFF


def philox(counter, key):
    """Salmon et al. 2011, figure 4, in plain integers."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * a, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c, 1 << 32)
        a, b, c, d = high1 ^ b ^ k, low1, high0 ^ d ^ m, low0
        k, m = (k + 0x9E3779B9) & MASK, (m + 0xBB67AE85) & MASK
    return a, b, c, d


def draws(seed, purpose, step, n):
    words = []
    for group in range((n + 3) // 4):
        words += philox((group & MASK, group >> 32, step, purpose), (seed & MASK, seed >> 32))
    return np.array(words[:n], np.uint64)


def idx(path):
    with open(path, "rb") as plain:
        data = plain.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    n_dims = data[3]
    shape = struct.unpack(f">{n_dims}I", data[4:4 + 4 * n_dims])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_dims).reshape(shape)


def checkpoint(run, step):
    with open(f"{run}/checkpoint/step-{step:010d}.safetensors", "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    parts = []
    for name in ("layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"):
        begin, end = header[name]["data_offsets"]
        parts.append(np.frombuffer(data[8 + size + begin:8 + size + end], "<f4"))
    return np.concatenate(parts)


def split(vector):
    tensors, at = [], 0
    for name, shape in TENSORS:
        size = int(np.prod(shape))
        tensors.append((name, vector[at:at + size].reshape(shape)))
        at += size
    return tensors


def reference(weights, images, labels):
    """Sums over the rows, all in double: cost, gradient, correct."""
    (_, W1), (_, b1), (_, W2), (_, b2) = split(weights.astype(np.float64))
    x = images.reshape(len(images), 784) / 255.0
    h = np.tanh(x @ W1 + b1)
    y = 1.0 / (1.0 + np.exp(-(h @ W2 + b2)))
    error = y - np.eye(10)[labels]
    delta2 = error * y * (1.0 - y)
    delta1 = (delta2 @ W2.T) * (1.0 - h ** 2)
    gradient = [x.T @ delta1, delta1.sum(0), h.T @ delta2, delta2.sum(0)]
    return (0.5 * (error ** 2).sum(), np.concatenate([g.ravel() for g in gradient]),
            int((y.argmax(1) == labels).sum()))


def relative(ours, theirs):
    worst = 0.0
    for (name, a), (_, b) in zip(split(ours.astype(np.float64)), split(theirs)):
        worst = max(worst, float(np.abs(a - b).max() / np.abs(b).max()))
    return worst


def check(what, ok, seen):
    print(f"{'ok' if ok else 'NOT OK'}: {what}: {seen}")
    if not ok:
        sys.exit(1)


def main(dump_step, images_path, labels_path, run, seed, fraction, block_rows, kernel):
    images, labels = idx(images_path), idx(labels_path)
    n_params = sum(int(np.prod(shape)) for _, shape in TENSORS)
    metrics = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    weights = (draws(int(seed), 1, 0, n_params) >> np.uint64(8)).astype(np.float64) / 2 ** 24 - 0.5
    rate, last_cost, start = 0.1, None, "-"
    for step in (1, 2):
        line = metrics[step - 1]
        subprocess.run([dump_step, images_path, labels_path, seed, fraction, block_rows, str(step),
                        start, "dump", kernel], check=True)
        dump = open("dump", "rb").read()
        ours = np.frombuffer(dump, "<f4", 2 * n_params)
        cost, correct, n_rows = struct.unpack("<dQQ", dump[8 * n_params:8 * n_params + 24])
        rows = np.frombuffer(dump, "<u4", offset=8 * n_params + 24)

        bits_equal = np.array_equal(ours[:n_params], weights.astype(np.float32))
        check(f"step {step}: starting weights, bit for bit", bits_equal, f"{n_params} weights")
        sample = np.flatnonzero(draws(int(seed), 2, step, len(labels)) <
                                np.uint64(int(float(fraction) * 2.0 ** 32)))
        check(f"step {step}: sample, row for row", np.array_equal(rows, sample), f"{len(rows)} rows")
        check(f"step {step}: rows of the run", n_rows == line["rows"] == len(sample), n_rows)

        true_cost, gradient, true_correct = reference(weights, images[sample], labels[sample])
        for name, value in (("code", cost / n_rows), ("run", line["cost"])):
            off = abs(value / (true_cost / n_rows) - 1)
            check(f"step {step}: cost of the {name}, relative", off <= 1e-6, f"{off:.1e}")
        # a row whose two largest outputs are all but equal may fall on either side
        check(f"step {step}: correct rows", abs(correct - true_correct) <= 1, correct)
        check(f"step {step}: accuracy of the run", line["accuracy"] == correct / n_rows,
              line["accuracy"])
        off = relative(ours[n_params:], gradient)
        check(f"step {step}: gradient, relative", off <= 1e-5, f"{off:.1e}")

        if last_cost is not None:
            rate *= 1.05 if true_cost / n_rows < last_cost else 0.5
        last_cost = true_cost / n_rows
        check(f"step {step}: learning rate", abs(line["learning_rate"] - rate) < 1e-15, rate)
        true_next = weights - rate / len(sample) * gradient
        following = checkpoint(run, step)
        off = relative(following, true_next)
        check(f"step {step}: updated weights, relative", off <= 1e-5, f"{off:.1e}")
        # the update itself: weights hardly move in one step, so that they alone would prove little
        moved = relative(following.astype(np.float64) - weights, true_next - weights)
        check(f"step {step}: what the weights moved by, relative", moved <= 1e-4, f"{moved:.1e}")
        weights = following.astype(np.float64)  # the next step starts from the run's own weights
        following.astype("<f4").tofile("weights")
        start = "weights"


if __name__ == "__main__":
    main(*sys.argv[1:])
