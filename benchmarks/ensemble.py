"""What it saves to train many small networks as one: CPU time against a loop, the same results.

`python benchmarks/ensemble.py`: 100 initialisations, one thread; the faster of three turns each.
"""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torchdx.lab.data import Images, digits
from torchdx.lab.ensemble import Ensemble
from torchdx.lab.models.convnet import convnet
from torchdx.lab.models.mlp import mlp

MEMBERS, STEPS, BATCH, TURNS = 100, 10, 64, 3
KINDS: dict[str, Callable[[], nn.Module]] = {
    "MLP 64-32-10": lambda: mlp([64, 32, 10]),
    "MLP 64-128-128-10": lambda: mlp([64, 128, 128, 10]),
    "conv net 8-16, 8 x 8": lambda: convnet((1, 8, 16)),
}


def as_one(nets: list[nn.Module], inputs: torch.Tensor, labels: torch.Tensor) -> Ensemble:
    """All networks in one stack."""
    ensemble = Ensemble(nets)
    optimizer = torch.optim.SGD(ensemble.parameters(), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        ensemble.losses(cross_entropy, inputs, labels).sum().backward()
        optimizer.step()
    return ensemble


def one_by_one(nets: list[nn.Module], inputs: torch.Tensor, labels: torch.Tensor) -> None:
    """Each network by itself."""
    for net in nets:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(STEPS):
            optimizer.zero_grad()
            cross_entropy(net(inputs), labels).backward()
            optimizer.step()


def measured(make: Callable[[], nn.Module], images: Images) -> tuple[float, float, float]:
    """CPU seconds of the loop and of the stack, and how far their weights end apart."""
    convolves = any(isinstance(part, nn.Conv2d) for part in make().modules())
    inputs = (images.pixels if convolves else images.flat)[:BATCH]
    labels, loops, stacks, apart = images.labels[:BATCH], [], [], 0.0
    for _ in range(TURNS):
        nets = [make() for _ in range(MEMBERS)]
        began = time.process_time()
        ensemble = as_one(nets, inputs, labels)
        stacks.append(time.process_time() - began)
        began = time.process_time()
        one_by_one(nets, inputs, labels)
        loops.append(time.process_time() - began)
        last = ensemble.member(MEMBERS - 1)
        apart = max(float((last[n] - v).abs().max()) for n, v in nets[-1].state_dict().items())
    return min(loops), min(stacks), apart


def main() -> None:
    """Print a row a kind of network."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = digits()
    print(f"{MEMBERS} networks, {STEPS} steps of {BATCH} rows, CPU seconds, one thread")
    print("| network | loop | as one | times | weights apart |")
    print("|---|---|---|---|---|")
    for name, make in KINDS.items():
        loop, stack, apart = measured(make, images)
        print(f"| {name} | {loop:.2f} | {stack:.2f} | {loop / stack:.1f} | {apart:.0e} |")


if __name__ == "__main__":
    main()
