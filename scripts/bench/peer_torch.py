#!/usr/bin/python3
"""Usage: scripts/bench/peer_torch.py DATA MODEL STEPS

drover's training of config/mnist.yaml in PyTorch: DistributedDataParallel over gloo, two processes
with half of the rows each, one thread each. DATA is a folder with MNIST, MODEL the model.safetensors
with the parameters to start from. Prints a JSON object: milliseconds, cost, accuracy and rows of
each step, and versions. scripts/bench/peers runs it.
"""

import ctypes
import json
import re
import sys
import tempfile
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from peer_data import BoldDriver, SAMPLE, read_parameters, read_rows

PROCESSES = 2


def blas():
    """Which BLAS this process has loaded, and the OpenBLAS kernels that it took."""
    if torch.backends.mkl.is_available():
        return "MKL"
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = set(re.findall(r"/\S*blas\S*\.so\S*", maps.read()))
    for path in sorted(paths):
        try:
            corename = ctypes.CDLL(path).openblas_get_corename
        except (AttributeError, OSError):
            continue
        corename.restype = ctypes.c_char_p
        return f"OpenBLAS {corename().decode()}"
    return "another BLAS"


def network(parameters):
    model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.Tanh(),
                                torch.nn.Linear(64, 10), torch.nn.Sigmoid())
    with torch.no_grad():
        for ours, theirs in zip(model.parameters(), parameters):
            ours.copy_(torch.tensor(theirs.T))
    return model


def train(rank, data, model_path, n_steps, meeting, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank,
                            world_size=PROCESSES)
    images, labels = read_rows(data)
    mine = slice(rank * len(images) // PROCESSES, (rank + 1) * len(images) // PROCESSES)
    x = torch.tensor(images[mine]).float().div_(255)
    labels = torch.tensor(labels[mine]).long()
    targets = torch.nn.functional.one_hot(labels, 10).float()
    model = DistributedDataParallel(network(read_parameters(model_path)),
                                    gradient_as_bucket_view=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    driver = BoldDriver()
    torch.manual_seed(rank)
    batch = torch.empty_like(x)  # the sampled rows: not allocated again each step
    steps = []
    for _ in range(n_steps):
        started = time.perf_counter()
        chosen = (torch.rand(len(x)) < SAMPLE).nonzero().flatten()
        torch.index_select(x, 0, chosen, out=batch[:len(chosen)])
        y = model(batch[:len(chosen)])
        sse = (y - targets[chosen]).square().sum()
        correct = (y.argmax(1) == labels[chosen]).sum()
        # The batch's size, cost and hits travel while the gradients are computed. DDP divides by
        # its processes, and the size is not known yet: the rate makes up for both.
        sums = torch.stack([sse.detach().double() / 2, correct.double(),
                            torch.tensor(float(len(chosen)), dtype=torch.double)])
        coming = dist.all_reduce(sums, async_op=True)
        optimizer.zero_grad()
        (sse * (PROCESSES / 2 / len(images))).backward()
        coming.wait()
        cost, hits, rows = sums.tolist()
        optimizer.param_groups[0]["lr"] = driver.next(cost / rows) * len(images) / rows
        optimizer.step()
        steps.append({"ms": (time.perf_counter() - started) * 1000, "cost": cost / rows,
                      "accuracy": hits / rows, "rows": rows})
    if rank == 0:
        with open(results, "w", encoding="utf-8") as file:
            json.dump({"name": f"PyTorch {torch.__version__}, DDP over gloo", "kernels": blas(),
                       "steps": steps}, file)
    dist.barrier()
    dist.destroy_process_group()


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    with tempfile.TemporaryDirectory() as folder:
        results = f"{folder}/results"
        torch.multiprocessing.spawn(train, nprocs=PROCESSES, args=(
            sys.argv[1], sys.argv[2], int(sys.argv[3]), f"{folder}/meeting", results))
        with open(results, encoding="utf-8") as file:
            print(file.read())


if __name__ == "__main__":
    main()
