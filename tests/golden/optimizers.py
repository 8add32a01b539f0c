"""Five steps of a run with an optimizer and a schedule, checked against their formulas in NumPy, in
double precision; shares no code with drover.

Usage: optimizers.py DUMP_STEP IMAGES LABELS RUN SEED FRACTION BLOCK_ROWS KERNEL STEPS KEY=VALUE...

RUN is the output of STEPS steps; RUN/checkpoints/<t> is its checkpoint after step t. KEY=VALUE are the
run's settings below `training`, the others being the defaults. Gradients are those of drover's code at
the weights of the run (as in one_step.py, and held to NumPy's in the same way): a gradient that is all
but zero has a sign that depends on its last bits, and Adam would make a whole step of it. Weights,
moments and average are NumPy's own from the first step to the last.
"""
import json
import math
import struct
import subprocess
import sys

import numpy as np

from one_step import TENSORS, check, draws, idx, reference, relative, split

DEFAULTS = {"optimizer": "gradient_descent", "learning_rate": 0.1, "momentum": 0.9, "beta1": 0.9,
            "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01, "l1": 0.0, "l2": 0.0,
            "clip_norm": 0.0, "ema": 0.0, "schedule.kind": "constant", "schedule.warmup_steps": 0,
            "schedule.every_steps": 30, "schedule.factor": 0.1, "schedule.final_rate": 0.0,
            "schedule.steps": 0}


def tensors(path):
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    return {name: np.frombuffer(data[8 + size:][slice(*t["data_offsets"])], "<f4")
            for name, t in header.items()}


def vector(of):
    return np.concatenate([of[f"layer{l}.{what}"] for l in (1, 2) for what in ("weight", "bias")])


def rate(c, step):
    base, warmup = c["learning_rate"], c["schedule.warmup_steps"]
    if step <= warmup:
        return base * step / warmup
    k = step - warmup - 1
    if c["schedule.kind"] == "step":
        return base * c["schedule.factor"] ** (k // c["schedule.every_steps"])
    if c["schedule.kind"] == "exponential":
        return base * c["schedule.factor"] ** (k / c["schedule.every_steps"])
    if c["schedule.kind"] == "cosine":
        end = c["schedule.final_rate"]
        turn = math.pi * min(k / (c["schedule.steps"] - warmup), 1)
        return end + (base - end) * (1 + math.cos(turn)) / 2
    return base


class Optimizer:
    """PyTorch's SGD, Adam and AdamW, as their documentation writes them."""

    def __init__(self, c, n_params):
        self.c, self.t = c, 0
        self.m, self.v = np.zeros(n_params), np.zeros(n_params)

    def step(self, w, g, lr):
        c, kind = self.c, self.c["optimizer"]
        self.t += 1
        if kind == "gradient_descent":
            return w - lr * g
        if kind in ("momentum", "nesterov"):
            self.m = c["momentum"] * self.m + g
            return w - lr * (self.m if kind == "momentum" else g + c["momentum"] * self.m)
        if kind == "adamw":
            w = w - lr * c["weight_decay"] * w
        self.m = c["beta1"] * self.m + (1 - c["beta1"]) * g
        self.v = c["beta2"] * self.v + (1 - c["beta2"]) * g * g
        m_hat = self.m / (1 - c["beta1"] ** self.t)
        v_hat = self.v / (1 - c["beta2"] ** self.t)
        return w - lr * m_hat / (np.sqrt(v_hat) + c["epsilon"])


def main(dump_step, images_path, labels_path, run, seed, fraction, block_rows, kernel, n_steps, *sets):
    c = dict(DEFAULTS)
    for key, value in (each.split("=") for each in sets):
        assert key in c, key
        c[key] = type(c[key])(value)
    if not c["schedule.steps"]:
        c["schedule.steps"] = int(n_steps)
    images, labels = idx(images_path), idx(labels_path)
    n_params = sum(int(np.prod(shape)) for _, shape in TENSORS)
    metrics = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    is_weight = np.concatenate([np.full(int(np.prod(shape)), name[0] == "W") for name, shape in TENSORS])
    w = (draws(int(seed), 1, 0, n_params) >> np.uint64(8)).astype(np.float64) / 2 ** 24 - 0.5
    first, theirs, average = w, w.astype(np.float32), None
    optimizer = Optimizer(c, n_params)
    for step in range(1, int(n_steps) + 1):
        line = metrics[step - 1]
        theirs.astype("<f4").tofile("weights")
        subprocess.run([dump_step, images_path, labels_path, seed, fraction, block_rows, str(step),
                        "weights", "dump", kernel], check=True)
        dump = open("dump", "rb").read()
        g = np.frombuffer(dump, "<f4", 2 * n_params)[n_params:].astype(np.float64)
        rows = np.frombuffer(dump, "<u4", offset=8 * n_params + 24)
        cost, gradient, _ = reference(theirs, images[rows], labels[rows])
        off = relative(g, gradient)
        check(f"step {step}: gradient, relative", off <= 1e-5, f"{off:.1e}")

        g = g / len(rows) + is_weight * (c["l2"] * w + c["l1"] * np.sign(w))
        cost = cost / len(rows) + (is_weight * (c["l1"] * abs(w) + c["l2"] / 2 * w ** 2)).sum()
        off = abs(line["cost"] / cost - 1)
        check(f"step {step}: cost with penalties, relative", off <= 1e-6, f"{off:.1e}")
        if c["clip_norm"]:
            norm = np.sqrt((g ** 2).sum())
            check(f"step {step}: there is something to clip", norm > c["clip_norm"], norm)
            g = g * min(1, c["clip_norm"] / (norm + 1e-6))
        lr = rate(c, step)
        check(f"step {step}: learning rate", abs(line["learning_rate"] - lr) <= 1e-14, lr)
        w = optimizer.step(w, g, lr)
        saved = tensors(f"{run}/checkpoints/{step}")
        theirs = vector(saved)
        off = relative(theirs, w)
        check(f"step {step}: weights, relative", off <= 1e-5, f"{off:.1e}")
        # what they moved by since the start: after a few steps they alone would prove little. Adam
        # divides what is left of a gradient that cancels by its own size.
        moved = relative(theirs.astype(np.float64) - first, w - first)
        check(f"step {step}: what they moved by, relative", moved <= 1e-3, f"{moved:.1e}")
        if c["ema"]:
            average = w if step == 1 else c["ema"] * average + (1 - c["ema"]) * w
            off = relative(saved["optimizer.average"], average)
            check(f"step {step}: average, relative", off <= 1e-5, f"{off:.1e}")
    model = vector(tensors(f"{run}/model.safetensors"))
    result = saved["optimizer.average"] if c["ema"] else theirs
    check("the model is what it should be", np.array_equal(model, result), "average" if c["ema"] else "weights")


if __name__ == "__main__":
    main(*sys.argv[1:])
