"""Peers that do one thing wrong, for tests; the codec is drover_worker.py's.

Usage: scripted_peer.py hello ENDPOINT [--version V] [--kernel K] [--digest D] [--name N]
         says HELLO and prints the answer: its type and the fields
       scripted_peer.py ready ENDPOINT [--params P] [--digest D]
         joins, says READY with that and prints the answer
       scripted_peer.py partials ENDPOINT KIND [--name N]
         joins and answers all that it is asked for with a PARTIAL that is bad in a certain way, until it is refused
       scripted_peer.py rows ENDPOINT
         joins and prints the last row's number, which it asks for until it is there
       scripted_peer.py noise ENDPOINT
         joins and sends what is not a message, on all planes
       scripted_peer.py server ENDPOINT [--version V]
         answers a HELLO with an END of another version of the protocol
       scripted_peer.py reporter ENDPOINT good|mute|garbage|rejoin [--version V]
         answers every second STATUS with a REPORT whose step goes up, or else does not; until it is killed
"""
import argparse
import os
import struct
import sys
import time

import zmq

import drover_worker as protocol

DEADLINE_MS = 10000


class Peer:
    def __init__(self, arguments):
        self.arguments = arguments
        self.context = zmq.Context()
        self.control = self.socket(zmq.DEALER, arguments.endpoint)
        self.run, self.incarnation, self.job = 0, 0, None

    def socket(self, kind, endpoint):
        socket = self.context.socket(kind)
        socket.linger = 500
        socket.rcvtimeo = DEADLINE_MS
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(endpoint)
        return socket

    def say(self, socket, kind, fields, frame=None, step=0, version=protocol.VERSION):
        socket.send_multipart(
            protocol.encode(kind, self.run, self.incarnation, step, fields, frame, version))

    def hear(self, socket, *kinds):
        while True:
            kind, run, incarnation, step, fields, _ = protocol.decode(socket.recv_multipart())
            if kind in kinds:
                return kind, run, incarnation, step, fields

    def hello(self):
        a = self.arguments
        until = time.monotonic() + DEADLINE_MS / 1000
        while time.monotonic() < until:  # a relay answers when it has joined itself
            self.say(self.control, protocol.HELLO, [a.name, "here", a.kernel, 1, a.digest or "", 0],
                     version=a.version)
            if self.control.poll(250):
                break
        kind, self.run, self.incarnation, _, fields = self.hear(
            self.control, protocol.WELCOME, protocol.REFUSED)
        return kind, fields

    def join(self):
        kind, fields = self.hello()
        assert kind == protocol.WELCOME, fields
        self.job = protocol.Job(self.run, self.incarnation, fields)
        stem = self.arguments.endpoint
        if self.job.planes[0][0] == ":":
            stem = stem.rpartition(":")[0]
        self.data, self.weights, self.gradients = (
            self.socket(kind, stem + name)
            for kind, name in zip((zmq.DEALER, zmq.SUB, zmq.PUSH), self.job.planes))

    def ready(self):
        a = self.arguments
        n_params = self.job.n_params if a.params is None else a.params
        digest = self.job.digest if a.digest is None else a.digest
        self.say(self.control, protocol.READY, [n_params, digest])


def say_answer(kind, fields):
    names = {protocol.WELCOME: "WELCOME", protocol.REFUSED: "REFUSED"}
    print(names[kind], *fields)


def bad_partial(peer, kind, step):
    job = peer.job
    node, rows, cost, n_params, digest_of = [0, 0], None, 1.0, job.n_params, None
    value, worker, at_step = 0.0, job.worker, step
    first_rows = protocol.philox(job.seed, protocol.SAMPLE, step, 0,
                                 min(job.block_rows, job.n_rows))
    rows = int((first_rows < int(job.fraction * 2.0 ** 32)).sum())
    if kind == "nan":
        value = float("nan")
    elif kind == "infinite-cost":
        cost = float("inf")
    elif kind == "rows":
        rows += 1
    elif kind == "node":
        node = [0, job.n_blocks]
    elif kind == "length":
        n_params -= 1
    elif kind == "future":
        at_step += 1
    frame = struct.pack("<f", value) * n_params
    peer.say(peer.gradients, protocol.PARTIAL, [worker, *node, cost, 0, rows], frame, at_step)


def partials(peer):
    peer.join()
    peer.ready()
    sent = 0
    poller = zmq.Poller()
    poller.register(peer.control, zmq.POLLIN)
    poller.register(peer.weights, zmq.POLLIN)
    until = time.monotonic() + DEADLINE_MS / 1000
    while time.monotonic() < until:
        for socket, _ in poller.poll(50):
            kind, _, _, step, fields, _ = protocol.decode(socket.recv_multipart())
            if kind == protocol.REFUSED:
                print(sent, end=" ")
                say_answer(kind, fields)
                return
            if kind in (protocol.STEP, protocol.ASSIGN):
                bad_partial(peer, peer.arguments.kind, step)
                sent += 1
        peer.say(peer.control, protocol.HEARTBEAT, [0])
    sys.exit("not refused in time")


def rows(peer):
    peer.join()
    peer.ready()
    last = peer.job.n_rows - 1
    until = time.monotonic() + DEADLINE_MS / 1000
    while time.monotonic() < until:
        peer.say(peer.control, protocol.HEARTBEAT, [0])
        peer.say(peer.data, protocol.FETCH, [last, 1])
        if peer.data.poll(100):
            kind, _, _, _, fields, _ = protocol.decode(peer.data.recv_multipart())
            assert kind == protocol.ROWS and fields[:2] == [last, 1], fields
            print(last)
            return
    sys.exit("no rows in time")


def noise(peer):
    peer.join()
    good = protocol.encode(protocol.PARTIAL, peer.run, peer.incarnation, 1,
                           [peer.job.worker, 0, 0, 1.0, 0, 0], b"\0" * 4 * peer.job.n_params)
    for junk in ([b""], [b"\xc1"], [b"drover"], [b"\x98\xa6drover"], [b"\xdd\xff\xff\xff\xff"],
                 [b"\x91" * 1000], good[:1], [good[0], good[1][:-1] + b"\1"], good + [b"more"],
                 [good[0][:-9] + bytes([good[0][-9] ^ 1]) + good[0][-8:], good[1]],
                 protocol.encode(99, peer.run, peer.incarnation, 1, []),
                 protocol.encode(protocol.FETCH, peer.run, peer.incarnation, 1, [0, 4096]),
                 protocol.encode(protocol.FETCH, peer.run, peer.incarnation, 1, [4294967295, 1]),
                 protocol.encode(protocol.HELLO, 0, 0, 0, ["x" * 64, "", "", 1, "", 0])):
        for socket in peer.control, peer.data, peer.gradients:
            socket.send_multipart(junk)
    print("sent")


def server(arguments):
    router = zmq.Context().socket(zmq.ROUTER)
    router.rcvtimeo = DEADLINE_MS
    router.bind(arguments.endpoint)
    identity = router.recv_multipart()[0]
    router.send_multipart([identity] + protocol.encode(protocol.END, 1, 1, 0, [],
                                                       version=arguments.version))
    time.sleep(0.2)  # the other side ends; nobody waits for this process


def report(step):
    """The fields of a REPORT of a relay with three members, one of which is not listed."""
    nan = float("nan")
    return ["relay", "tcp://10.0.0.1:5570", step, 0, 70123.4, nan, 0.25, 0.8311, 2.5, 12.0, 1, nan, 0.5,
            "blocks of \"node-7\"", 3,
            [[1, "node-7", "host-a", "dense/Zen", 8, 0, "late", nan, 2345, 3, 1 << 40, 7, 0],
             [2, "rack", "host-b", "dense/Zen", 64, 1, "active", 70123.4, 12, 0, 99, 0, 2]],
            [["bad", "host-c"]]]


def reporter(arguments):
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(arguments.endpoint)
    print("ready", flush=True)
    n = 0
    while True:
        identity, *parts = router.recv_multipart()
        kind, *_ = protocol.decode(parts)
        assert kind == protocol.STATUS
        n += 1
        answer = {"good": protocol.encode(protocol.REPORT, 7, 1, n, report(n),
                                          version=arguments.version),
                  "garbage": [b"\xc1 garbage"],
                  "rejoin": protocol.encode(protocol.REJOIN, 7, 1, 0, [])}.get(arguments.kind)
        if answer and n % 2 == 0:
            router.send_multipart([identity] + answer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    parser.add_argument("endpoint")
    parser.add_argument("kind", nargs="?")
    parser.add_argument("--version", type=int, default=protocol.VERSION)
    parser.add_argument("--kernel", default="dense/numpy")
    parser.add_argument("--digest")
    parser.add_argument("--name", default=f"peer-{os.getpid()}")
    parser.add_argument("--params", type=int)
    arguments = parser.parse_args()
    if arguments.role in ("server", "reporter"):
        {"server": server, "reporter": reporter}[arguments.role](arguments)
        return
    peer = Peer(arguments)
    if arguments.role == "hello":
        say_answer(*peer.hello())
    elif arguments.role == "ready":
        digest, arguments.digest = arguments.digest, None
        peer.join()
        arguments.digest = digest
        peer.ready()
        kind, *_, fields = peer.hear(peer.control, protocol.REFUSED)
        say_answer(kind, fields)
    else:
        {"partials": partials, "noise": noise, "rows": rows}[arguments.role](peer)
    peer.context.destroy()


if __name__ == "__main__":
    main()
