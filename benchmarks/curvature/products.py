"""One Hessian-vector product, against one gradient of the same rounds."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

import torchdx as dx
from benchmarks.curvature.clock import in_turn, ratio
from benchmarks.curvature.nets import Case
from benchmarks.curvature.peers import Asked, available
from benchmarks.curvature.reference import product
from benchmarks.curvature.table import Row, within

LIMITS = {"mlp": 1.4, "resnet20": 2.4, "gpt": 2.3}
OVERHEAD = 0.05
ROUNDS = {"mlp": 200, "resnet20": 5, "gpt": 15}


def gradient_of(case: Case) -> Callable[[], Any]:
    """One gradient, as training makes it."""
    parameters = case.parameters
    return lambda: torch.autograd.grad(case.loss(), parameters)


def rows(case: Case, rounds: int | None = None) -> Iterator[Row]:
    """The product, and what our operator adds to autograd's call."""
    draw = torch.Generator().manual_seed(3)
    vector = torch.randn(case.n, generator=draw)
    asked = Asked(case.model, case.criterion, [case.batch])
    peers, missing = available()
    bare = product(case.loss(), case.parameters)
    with dx.curvature(case.model, case.criterion, case.batch) as c:
        ours, guard = c._local.hessian.product, c._local.objective.guard
        works: dict[str, Callable[[], Any]] = {
            "gradient": gradient_of(case),
            "bare": lambda: bare(vector),
            "ours": lambda: ours(vector),
        }
        for name, peer in peers.items():
            works[name] = _bound(peer.product(asked), vector)
        with guard.held():
            took = in_turn(works, rounds or ROUNDS[case.name])
    case.model.zero_grad()
    base = took["gradient"]
    found = {name: ratio(took[name], base) for name in works}
    told = {name: f"{found[name]:.2f} g" for name in peers} | missing
    yield Row(
        "product",
        case.name,
        f"{found['ours']:.2f} g",
        f"at most {LIMITS[case.name]} g",
        within((found["ours"], LIMITS[case.name])),
        told,
    )
    added = ratio(took["ours"], took["bare"]) - 1
    yield Row(
        "of it, beyond autograd",
        case.name,
        f"{added:+.1%}",
        f"at most {OVERHEAD:.0%}",
        within((added, OVERHEAD)),
    )


def _bound(times: Callable[[torch.Tensor], Any], vector: torch.Tensor) -> Callable[[], Any]:
    return lambda: times(vector)


def gpu_rows(case: Case, rounds: int = 30) -> Iterator[Row]:
    """The same on an accelerator, by the clock on the wall."""
    if not torch.cuda.is_available():
        yield Row("product on a GPU", case.name, "no GPU here")
        return
    moved = case.to("cuda")
    vector = torch.randn(case.n, device="cuda")
    with dx.curvature(moved.model, moved.criterion, moved.batch) as c:
        times, gradient = c._local.hessian.product, gradient_of(moved)
        with c._local.objective.guard.held():
            found = _wall(lambda: times(vector), rounds) / _wall(gradient, rounds)
    yield Row("product on a GPU", case.name, f"{found:.2f} g")


def _wall(work: Callable[[], Any], rounds: int) -> float:
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(rounds):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / rounds
