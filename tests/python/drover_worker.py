"""A worker of drover in Python, written from docs/protocol.md: it shares no code with the C one.

Usage: drover_worker.py ENDPOINT [NAME] [KERNEL]

Joins the run at ENDPOINT, computes with NumPy, and prints how many partials it sent.
"""
import os
import sys
import time

import msgpack
import numpy as np
import xxhash
import zmq

VERSION = 1
(HELLO, WELCOME, REFUSED, READY, HEARTBEAT, BYE, REJOIN, ASSIGN, END, STEP, PARTIAL, FETCH,
 ROWS, STATUS, REPORT, EVALUATE, EVALUATED) = range(1, 18)
SAMPLE = 2  # a purpose of random numbers
CREDIT, CHUNK_ROWS, LOST_S = 8, 256, 1.0


def encode(kind, run, incarnation, step, fields, frame=None, version=VERSION):
    digest = 0 if frame is None else xxhash.xxh3_64_intdigest(frame)
    header = msgpack.packb(["drover", version, kind, run, incarnation, step, digest, fields])
    header += xxhash.xxh3_64_intdigest(header).to_bytes(8, "little")
    return [header] if frame is None else [header, frame]


def decode(parts):
    """(kind, run, incarnation, step, fields, frame), or None when the message is damaged."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(parts[0])
    magic, version, *others = unpacker.unpack()
    array, behind = parts[0][:unpacker.tell()], parts[0][unpacker.tell():]
    if magic != "drover" or behind != xxhash.xxh3_64_intdigest(array).to_bytes(8, "little"):
        return None
    if version != VERSION:
        sys.exit(f"the server speaks version {version}, expected {VERSION}")
    kind, run, incarnation, step, digest, fields = others
    frame = parts[1] if len(parts) > 1 else None
    if frame is not None and xxhash.xxh3_64_intdigest(frame) != digest:
        return None
    return kind, run, incarnation, step, fields, frame


def philox(seed, purpose, step, first, n):
    """The 32 random bits of the indices first to first + n - 1."""
    groups = np.arange(first // 4, (first + n + 3) // 4, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c = [groups & low, groups >> half, np.full_like(groups, step), np.full_like(groups, purpose)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1).reshape(-1)[first % 4:first % 4 + n]


def gradient_of(params, layers, x, labels):
    """The partial of one block: (gradient, cost, correct, rows), sums over the rows of x."""
    weights, outputs, at = [], [x], 0
    for inputs, units, kind in layers:
        w = params[at:at + inputs * units].reshape(inputs, units)
        b = params[at + inputs * units:at + (inputs + 1) * units]
        z = outputs[-1] @ w + b
        outputs.append(np.tanh(z) if kind == "tanh" else 1 / (1 + np.exp(-z)))
        weights.append(w)
        at += (inputs + 1) * units
    y = outputs[-1]
    delta = y - np.eye(y.shape[1], dtype=y.dtype)[labels]
    cost = 0.5 * float(np.sum(delta.astype(np.float64) ** 2))
    correct = int(np.sum(np.argmax(y, axis=1) == labels))
    pieces = []
    for (_, _, kind), w, x_in, a in reversed(list(zip(layers, weights, outputs, outputs[1:]))):
        delta = delta * (1 - a * a if kind == "tanh" else a * (1 - a))
        pieces = [(x_in.T @ delta).reshape(-1), delta.sum(axis=0)] + pieces
        delta = delta @ w.T
    return [np.concatenate(pieces), cost, correct, len(labels)]


class Job:
    """What WELCOME says, and the rows that came."""

    def __init__(self, run, incarnation, fields):
        (self.worker, self.n_inputs, layers, self.seed, self.fraction, self.n_rows,
         self.block_rows, self.digest, self.kernel, self.heartbeat_ms, *self.planes, _, loss,
         class_weights, batch_rows, self.n_evaluation_rows, _, augmentation) = fields
        self.run, self.incarnation = run, incarnation
        if loss != "sse" or class_weights or batch_rows or augmentation or any(
                kind != "dense" or f not in ("tanh", "sigmoid") or dropout > 0
                for kind, _, f, dropout, *_ in layers):
            sys.exit("this worker knows dense layers of tanh and sigmoid, sse and unaltered samples by fraction only")
        widths = [self.n_inputs] + [layer[1] for layer in layers]
        self.layers = [(inputs, layer[1], layer[2]) for inputs, layer in zip(widths, layers)]
        self.n_params = sum((inputs + 1) * units for inputs, units, _ in self.layers)
        self.n_blocks = -(-self.n_rows // self.block_rows)
        self.n_all_rows = self.n_rows + self.n_evaluation_rows
        self.images = np.zeros((self.n_all_rows, self.n_inputs), np.uint8)
        self.labels = np.zeros(self.n_all_rows, np.uint8)
        self.there = set()  # chunks of rows
        self.asked = {}  # chunk -> when
        self.wanted = []

    def chunks_of(self, first, end):
        return self.chunks_of_rows(first * self.block_rows, min(end * self.block_rows, self.n_rows))

    def chunks_of_rows(self, first, end):
        return range(first // CHUNK_ROWS, (end - 1) // CHUNK_ROWS + 1)

    def store(self, first, n_rows, labels, frame):
        chunk = first // CHUNK_ROWS
        if self.asked.pop(chunk, None) is None or len(frame) != n_rows * self.n_inputs:
            return
        self.images[first:first + n_rows] = np.frombuffer(frame, np.uint8).reshape(n_rows, -1)
        self.labels[first:first + n_rows] = np.frombuffer(labels, np.uint8)
        self.there.add(chunk)

    def nodes(self, first, end):
        """The canonical nodes of the blocks [first, end)."""
        while first < end:
            level = 0
            while (1 << level < self.n_blocks and first % (2 << level) == 0
                   and min(first + (2 << level), self.n_blocks) <= end):
                level += 1
            yield level, first >> level
            first = min(first + (1 << level), self.n_blocks)

    def compute(self, params, step, level, index):
        """The partial of a node; yields None after each block, so that others get their turn."""
        if level == 0:
            first = index * self.block_rows
            n = min(self.block_rows, self.n_rows - first)
            bits = philox(self.seed, SAMPLE, step, first, n)
            rows = first + np.flatnonzero(bits < np.uint64(int(self.fraction * 2.0 ** 32)))
            x = self.images[rows].astype(np.float32) / np.float32(255)
            yield
            return gradient_of(params, self.layers, x, self.labels[rows])
        sums = yield from self.compute(params, step, level - 1, 2 * index)
        if (2 * index + 1) << (level - 1) < self.n_blocks:
            right = yield from self.compute(params, step, level - 1, 2 * index + 1)
            sums = [a + b for a, b in zip(sums, right)]
        return sums


class Worker:
    def __init__(self, endpoint, name, kernel):
        self.context = zmq.Context()
        self.endpoint, self.hello = endpoint, [name, os.uname().nodename, kernel, 1, "", 0]
        self.poller = zmq.Poller()
        self.control = self.connect(zmq.DEALER, endpoint)
        self.job, self.others, self.step, self.params = None, [], 0, None
        self.tasks = {}  # node -> its blocks [first, end) and its computation
        self.evaluation, self.model, self.ranges = 0, None, []  # to evaluate, when there are no tasks
        self.heard, self.due, self.done, self.n_partials, self.n_blocks = False, 0.0, False, 0, 0

    def connect(self, kind, endpoint):
        socket = self.context.socket(kind)
        socket.linger = 1000
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(endpoint)
        if kind != zmq.PUSH:
            self.poller.register(socket, zmq.POLLIN)
        return socket

    def send(self, socket, kind, fields, frame=None):
        run, incarnation = (self.job.run, self.job.incarnation) if self.job else (0, 0)
        try:
            socket.send_multipart(encode(kind, run, incarnation, self.step, fields, frame),
                                  zmq.DONTWAIT)
        except zmq.Again:
            pass  # lost: the protocol repeats it

    def welcome(self, run, incarnation, fields):
        self.job = Job(run, incarnation, fields)
        stem = self.endpoint if self.job.planes[0][0] == "." else self.endpoint.rpartition(":")[0]
        kinds = zmq.DEALER, zmq.SUB, zmq.PUSH
        self.others = [self.connect(k, stem + name) for k, name in zip(kinds, self.job.planes)]
        self.step, self.heard, self.due, self.tasks = 0, False, 0.0, {}
        self.evaluation, self.ranges = 0, []

    def leave(self):
        for socket in self.others:
            if socket in self.poller:
                self.poller.unregister(socket)
            socket.close()
        self.job, self.others, self.due, self.tasks = None, [], 0.0, {}

    def take(self, ranges):
        for worker, first, end in zip(*[iter(ranges)] * 3):
            if worker != self.job.worker or end > self.job.n_blocks:
                continue
            busy = {b for low, high, _ in self.tasks.values() for b in range(low, high)}
            free = [b for b in range(first, end) if b not in busy]
            while free:  # a run of blocks that are not under way
                n = next((i for i, b in enumerate(free) if b != free[0] + i), len(free))
                for level, index in self.job.nodes(free[0], free[0] + n):
                    low, high = index << level, min((index + 1) << level, self.job.n_blocks)
                    self.tasks[level, index] = (low, high, self.job.compute(
                        self.params, self.step, level, index))
                    self.job.wanted += [c for c in self.job.chunks_of(low, high)
                                        if c not in self.job.there | self.job.asked.keys()]
                free = free[n:]

    def on_message(self, parts):
        message = decode(parts)
        if message is None:
            return
        kind, run, incarnation, step, fields, frame = message
        if kind == REFUSED:
            sys.exit(f"refused: {fields[2]}")
        if kind == WELCOME and not self.job:
            self.welcome(run, incarnation, fields)
        if not self.job or kind != REJOIN and (run, incarnation) != (self.job.run,
                                                                     self.job.incarnation):
            return
        if kind == REJOIN:
            self.leave()
        elif kind == WELCOME and fields[0] > self.job.worker:
            self.job.worker = fields[0]
            self.step, self.heard, self.due, self.tasks = 0, False, 0.0, {}
            self.evaluation, self.ranges = 0, []
        elif kind == END:
            self.done = True
        elif kind == ROWS:
            self.job.store(*fields, frame)
        elif kind == STEP and step >= self.step and len(frame) == 4 * self.job.n_params:
            if step > self.step:
                self.step, self.params, self.tasks = step, np.frombuffer(frame, "<f4"), {}
            self.heard = True
            self.take(fields[0])
        elif kind == EVALUATE and fields[0] >= self.evaluation and len(frame) == 4 * self.job.n_params:
            if fields[0] > self.evaluation:
                self.evaluation, self.model, self.ranges = fields[0], np.frombuffer(frame, "<f4"), []
            for worker, first, end in zip(*[iter(fields[1])] * 3):
                if worker == self.job.worker and (first, end) not in self.ranges and end <= self.job.n_all_rows:
                    self.ranges.append((first, end))
                    self.job.wanted += [c for c in self.job.chunks_of_rows(first, end)
                                        if c not in self.job.there | self.job.asked.keys()]
        elif kind == ASSIGN and step == self.step:
            self.take(fields[0])

    def say(self, now):
        """What is due on the control and the data plane."""
        if now >= self.due:
            self.due = now + (self.job.heartbeat_ms / 1000 if self.job else 0.25)
            if not self.job:
                self.send(self.control, HELLO, self.hello)
            elif not self.heard:
                self.send(self.control, READY, [self.job.n_params, self.job.digest])
            else:
                self.send(self.control, HEARTBEAT, [self.step])
        if not self.job:
            return
        job = self.job
        ask = [c for c, when in job.asked.items() if now - when >= LOST_S]
        while job.wanted and len(job.asked) < CREDIT:
            chunk = job.wanted.pop(0)
            if chunk not in job.there and chunk not in job.asked:
                job.asked[chunk] = now
                ask.append(chunk)
        for chunk in ask:
            first = chunk * CHUNK_ROWS
            job.asked[chunk] = now
            self.send(self.others[0], FETCH, [first, min(CHUNK_ROWS, job.n_all_rows - first)])

    def work(self):
        """One block; false when no node has its rows."""
        for node, (first, end, computation) in self.tasks.items():
            if not self.job.there.issuperset(self.job.chunks_of(first, end)):
                continue
            try:
                next(computation)
            except StopIteration as finished:
                gradient, cost, correct, rows = finished.value
                self.send(self.others[2], PARTIAL, [self.job.worker, *node, cost, correct, rows],
                          gradient.astype("<f4").tobytes())
                self.n_partials += 1
                self.n_blocks += end - first
                del self.tasks[node]
            return True
        return not self.tasks and self.evaluate()

    def evaluate(self):
        """One range of an evaluation whose rows are there; false when there is none."""
        job = self.job
        for first, end in self.ranges:
            if not job.there.issuperset(job.chunks_of_rows(first, end)):
                continue
            x = job.images[first:end].astype(np.float32) / np.float32(255)
            _, cost, correct, _ = gradient_of(self.model, job.layers, x, job.labels[first:end])
            self.ranges.remove((first, end))
            self.send(self.control, EVALUATED, [self.evaluation, first, end, cost, correct])
            return True
        return False

    def run(self):
        while not self.done:
            self.say(time.monotonic())
            busy = self.work()
            for socket, _ in self.poller.poll(0 if busy else 20):
                if not socket.closed:
                    self.on_message(socket.recv_multipart())
        self.leave()
        self.context.destroy()
        print(f"partials={self.n_partials} blocks={self.n_blocks} steps={self.step}")


if __name__ == "__main__":
    Worker(sys.argv[1], *(sys.argv[2:] + ["python", "dense/numpy"][len(sys.argv) - 2:])).run()
