#!/usr/bin/env python3
"""Usage: scripts/bench/peer_spark.py DATA MODEL STEPS [--blocks]

drover's training of config/mnist.yaml in PySpark on local[2], in the manner of drover's origin: a
cached RDD of rows, sampled by Spark, gradients of a partition by NumPy, summed by Spark, the bold
driver in the driver. With --blocks an element of the RDD is half of all rows, sampled by NumPy:
faster, but no longer Spark's own sample. DATA is a folder with MNIST, MODEL the model.safetensors
with the parameters to start from. Prints a JSON object: milliseconds, cost, accuracy and rows of
each step, and versions. scripts/bench/peers runs it.
"""

import json
import os
import sys
import time

import numpy as np
import pyspark
from pyspark.sql import SparkSession

from peer_data import BoldDriver, SAMPLE, read_parameters, read_rows

PARTITIONS = 2
PIECE = 1024  # rows that are multiplied at once


def gradient(x, labels, parameters):
    """Gradients of W1, b1, W2, b2, cost, hits and rows, summed over rows: x (B, 784) bytes,
    labels (B)."""
    w1, b1, w2, b2 = parameters
    sums = None
    for first in range(0, len(x), PIECE):
        piece = x[first:first + PIECE].astype(np.float32)
        piece /= 255
        truth = labels[first:first + PIECE]
        hidden = np.tanh(piece @ w1 + b1)
        y = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
        error = y - np.eye(10, dtype=np.float32)[truth]
        delta2 = error * y * (1 - y)
        delta1 = delta2 @ w2.T * (1 - hidden * hidden)
        sums = add(sums, [piece.T @ delta1, delta1.sum(0), hidden.T @ delta2, delta2.sum(0),
                          float(np.square(error, dtype=np.float64).sum() / 2),
                          int((y.argmax(1) == truth).sum()), len(piece)])
    return sums


def add(left, right):
    return right if left is None else [a + b for a, b in zip(left, right)]


def of_rows(parameters):
    """A partition's rows (image, label) to its sums."""
    def partition(rows):
        images, labels = zip(*rows)
        yield gradient(np.stack(images), np.array(labels), parameters.value)
    return partition


def of_blocks(parameters, step):
    """A partition's blocks (images, labels) to their sums, of a sample of the rows."""
    def partition(index, blocks):
        rng = np.random.default_rng((step, index))
        for images, labels in blocks:
            chosen = rng.random(len(images)) < SAMPLE
            yield gradient(images[chosen], labels[chosen], parameters.value)
    return partition


def train(context, images, labels, parameters, n_steps, blocks):
    if blocks:
        halves = zip(np.array_split(images, PARTITIONS), np.array_split(labels, PARTITIONS))
        rdd = context.parallelize(list(halves), PARTITIONS).cache()
    else:
        rdd = context.parallelize(list(zip(images, labels.tolist())), PARTITIONS).cache()
    rdd.count()
    driver = BoldDriver()
    steps = []
    for step in range(n_steps):
        started = time.perf_counter()
        sent = context.broadcast(parameters)
        if blocks:
            partials = rdd.mapPartitionsWithIndex(of_blocks(sent, step))
        else:
            partials = rdd.sample(False, SAMPLE, step).mapPartitions(of_rows(sent))
        *gradients, cost, hits, rows = partials.reduce(add)
        rate = np.float32(driver.next(cost / rows) / rows)
        parameters = [p - rate * g for p, g in zip(parameters, gradients)]
        sent.unpersist()
        steps.append({"ms": (time.perf_counter() - started) * 1000, "cost": cost / rows,
                      "accuracy": hits / rows, "rows": rows})
    return steps


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[4:] not in ([], ["--blocks"]):
        sys.exit(__doc__.strip())
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    images, labels = read_rows(sys.argv[1])
    blocks = len(sys.argv) == 5
    session = (SparkSession.builder.master(f"local[{PARTITIONS}]").appName("peer")
               .config("spark.ui.enabled", "false").config("spark.driver.memory", "4g")
               .config("spark.driver.host", "127.0.0.1")
               .config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
    session.sparkContext.setLogLevel("ERROR")
    try:
        steps = train(session.sparkContext, images, labels, read_parameters(sys.argv[2]),
                      int(sys.argv[3]), blocks)
    finally:
        session.stop()
    print(json.dumps({"name": f"PySpark {pyspark.__version__}, local[{PARTITIONS}]",
                      "kernels": f"NumPy {np.__version__}", "steps": steps}))


if __name__ == "__main__":
    main()
