"""Whether a training run is the same after a probe as before it, to the last bit."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

import torchdx as dx
from benchmarks.curvature.peers import Asked, available
from benchmarks.curvature.table import Row


def _net() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor], torch.optim.Optimizer]:
    """Batch norm and dropout in training mode, gradients accumulated, momentum there."""
    torch.manual_seed(0)
    layers = [nn.Linear(20, 30), nn.BatchNorm1d(30), nn.Dropout(0.5), nn.ReLU(), nn.Linear(30, 2)]
    model = nn.Sequential(*layers).train()
    batch = torch.randn(64, 20), torch.randint(0, 2, (64,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(2):
        nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
    return model, batch, optimizer


def _bytes(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().numpy().tobytes()


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """All that a run consists of, by kind."""
    parameters = list(model.parameters())
    held = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor)]
    return {
        "parameters": [_bytes(p) for p in parameters],
        "versions": [p._version for p in parameters],
        "buffers": [_bytes(b) for b in model.buffers()],
        ".grad": [(id(p.grad), _bytes(p.grad)) for p in parameters],
        "graph on .grad": [p.grad is not None and p.grad.requires_grad for p in parameters],
        "modes": [m.training for m in model.modules()],
        "requires_grad": [p.requires_grad for p in parameters],
        "random states": [
            torch.get_rng_state().numpy().tobytes(),
            random.getstate(),
            np.random.get_state()[1].tobytes(),  # noqa: NPY002  # the global one is what may move
        ],
        "optimizer": [_bytes(v) for v in held],
    }


def changed(probe: Callable[[Any], Any]) -> str:
    """What a probe has changed, or how it failed."""
    model, batch, optimizer = _net()
    before = snapshot(model, optimizer)
    failed = ""
    try:
        probe(Asked(model, nn.CrossEntropyLoss(), [batch]))
    except Exception as error:  # noqa: BLE001  # a peer's own: it is the result
        failed = f"{type(error).__name__}; "
    after = snapshot(model, optimizer)
    moved = [name for name in before if before[name] != after[name]]
    return f"{failed}{'changed: ' + ', '.join(moved) if moved else 'nothing changed'}"


def rows() -> Iterator[Row]:
    """Ours, all questions in a row, beside one eigenvalue of the peers."""
    peers, missing = available()

    def ours(asked: Asked) -> None:
        c = dx.curvature(asked.model, asked.criterion, asked.batches[0])
        for question in (c.extremes, c.top, c.trace, c.density, c.critical, c.check, c.blocks):
            question()
        c.slice("gradient")

    found = changed(ours)
    told = {name: changed(lambda a, peer=peer: peer.largest(a)) for name, peer in peers.items()}
    yield Row(
        "training state after a probe",
        "BN, dropout",
        found,
        "nothing changed",
        found == "nothing changed",
        told | missing,
    )
