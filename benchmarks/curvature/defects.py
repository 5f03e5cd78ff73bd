"""Where Hessian tools go wrong: each library is given each net, its answer held to the truth.

right, refused (an error that gives the reason), crash (any other error), or WRONG without a word.
"""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import torchdx as dx
from benchmarks.curvature import reference
from benchmarks.curvature.peers import Asked, Peer, available
from benchmarks.curvature.table import Row
from torchdx.errors import CallError

NEAR = 0.01  # relative: what counts as right
SILENT = "WRONG"
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Defect:
    """A net, its batches, and the largest eigenvalue that is true.

    truth  None where a mask is drawn: then it must be kept, so that two calls agree, and the answer
           be of training mode
    """

    name: str
    asked: Asked
    truth: float | None


class Quadratic(nn.Module):
    """Half the sum of d w^2: eigenvalues d."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = torch.tensor(values)
        self.weights = nn.Parameter(torch.tensor([0.3, -0.7, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * (self.values * self.weights.square()).sum() * x.mean()


class Attention(nn.Module):
    """By torch's own function, whose default on a CPU differentiates but once."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(8, 24), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:  # (rows, 5, 8)
        q, k, v = self.inner(x)[:, None].chunk(3, -1)
        return self.outer(F.scaled_dot_product_attention(q, k, v)[:, 0].mean(1))


class Itself(nn.Module):
    """A loss that is the output."""

    reduction = "mean"

    def forward(self, output: Tensor, _target: Tensor) -> Tensor:
        return output


def _batch(rows: int = 64) -> Batch:
    return torch.randn(rows, 20), torch.randint(0, 2, (rows,))


def _true(model: nn.Module, batch: Batch, call: Callable[..., Tensor] = F.cross_entropy) -> float:
    """In double precision, from the whole matrix; the model is made single again."""
    x = batch[0].double()
    target = batch[1].double() if batch[1].is_floating_point() else batch[1]
    with sdpa_kernel(SDPBackend.MATH):
        found = reference.largest(model.double(), lambda net: call(net(x), target))
    model.float()
    return found


def plus_and_minus() -> Defect:
    """Two eigenvalues of equal magnitude and opposite sign."""
    asked = Asked(Quadratic([1.0, -1.0, 0.1]), Itself(), [(torch.ones(2, 1), torch.zeros(2))])
    return Defect("pair 1 and -1", asked, 1.0)


def dropout() -> Defect:
    """Training mode with a mask that must be kept."""
    model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Dropout(0.5), nn.Linear(50, 2)).train()
    return Defect("dropout", Asked(model, nn.CrossEntropyLoss(), [_batch()]), None)


def batch_norm() -> Defect:
    """Training mode: statistics of the batch itself."""
    layers = [nn.Linear(20, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 2)]
    model, batch = nn.Sequential(*layers).train(), _batch()
    plain = nn.Sequential(layers[0], _Normalised(layers[1]), layers[2], layers[3])
    truth = _true(plain, batch)
    return Defect("batch norm", Asked(model.float(), nn.CrossEntropyLoss(), [batch]), truth)


class _Normalised(nn.Module):
    """Batch norm in elementary operations."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(0)
        scaled = centred * (centred.square().mean(0) + self.norm.eps).rsqrt()
        return scaled * self.norm.weight + self.norm.bias


def short_batch() -> Defect:
    """48, 48 and 4 rows: the mean over rows is not the mean of the means."""
    x, y = torch.randn(100, 5), torch.randn(100, 1)
    x[96:] *= 5
    batches = [(x[a:b], y[a:b]) for a, b in ((0, 48), (48, 96), (96, 100))]
    truth = float(torch.linalg.eigvalsh(2 * x.T @ x / 100)[-1])
    asked = Asked(nn.Linear(5, 1, bias=False), nn.MSELoss(), batches)
    return Defect("short last batch", asked, truth)


def weight_norm() -> Defect:
    """Torch 2.13 differentiates it wrongly the second time."""
    layer = nn.Linear(20, 16)
    model = nn.Sequential(
        torch.nn.utils.parametrizations.weight_norm(layer), nn.Tanh(), nn.Linear(16, 2)
    )
    batch, parts = _batch(), layer.parametrizations.weight
    with torch.no_grad():
        parts.original1 *= 0.5  # as training moves it: only then are length and direction apart
    plain = nn.Sequential(_Scaled(parts.original0, parts.original1, layer.bias), *model[1:])
    return Defect("weight_norm", Asked(model, nn.CrossEntropyLoss(), [batch]), _true(plain, batch))


class _Scaled(nn.Module):
    """Weight norm in elementary operations."""

    def __init__(self, size: Tensor, way: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.size, self.way, self.bias = (
            nn.Parameter(t.detach().clone()) for t in (size, way, bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        unit = self.way / self.way.square().sum(1, keepdim=True).sqrt()
        return x @ (self.size * unit).T + self.bias


def unused() -> Defect:
    """A parameter that the loss does not meet: zeros."""
    model, batch = nn.Sequential(nn.Linear(20, 2)), _batch()
    truth = _true(model, batch)
    model.register_parameter("unused", nn.Parameter(torch.zeros(3)))
    return Defect("unused parameter", Asked(model, nn.CrossEntropyLoss(), [batch]), truth)


def sdpa() -> Defect:
    """Attention as it comes."""
    model, batch = Attention(), (torch.randn(16, 5, 8), torch.randint(0, 2, (16,)))
    truth = _true(model, batch)
    return Defect("SDPA", Asked(model, nn.CrossEntropyLoss(), [batch]), truth)


DEFECTS = (plus_and_minus, dropout, batch_norm, short_batch, weight_norm, unused, sdpa)


def outcome(defect: Defect, largest: Callable[[], float], package: str) -> str:
    """How a library fares; where no one truth is there, two calls must agree."""
    try:
        found = [largest() for _ in range(1 if defect.truth is not None else 2)]
    except CallError:
        return "refused"
    except Exception as error:  # noqa: BLE001  # a peer's own: it is the result
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        return f"{'refused' if package in last else 'crash'} ({type(error).__name__})"
    if defect.truth is None:
        if not _is_trained_on(defect):
            return f"{SILENT}: of evaluation mode"
        return "right" if _close(*found) else f"{SILENT}: {found[0]:.3f}, again {found[1]:.3f}"
    if _close(found[0], defect.truth):
        return "right"
    return f"{SILENT}: {found[0]:.3g} for {defect.truth:.3g}"


def _is_trained_on(defect: Defect) -> bool:
    return all(module.training for module in defect.asked.model.modules())


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= NEAR * abs(b)


def _ours(asked: Asked) -> float:
    batches = [(batch, len(batch[1])) for batch in asked.batches]
    c = dx.curvature(asked.model, asked.criterion, batches=batches)
    return float(c.extremes().highest.middle)


def _theirs(peer: Peer, asked: Asked) -> float:
    """By magnitude, so that -1 for the pair 1 and -1 is right."""
    found = peer.largest(asked).values[0]
    return abs(found) if isinstance(asked.model, Quadratic) else found


def _made(make: Callable[[], Defect]) -> Defect:
    torch.manual_seed(0)
    return make()


def rows() -> Iterator[Row]:
    """One for each defect, and how many answers were wrong without a word."""
    peers, missing = available()
    silent: dict[str, int] = dict.fromkeys(["ours", *peers], 0)
    for make in DEFECTS:
        defect = _made(make)
        own = outcome(defect, _bound(_ours, defect.asked), "torchdx")
        told: dict[str, str] = {}
        for name, peer in peers.items():
            fresh = _made(make)
            ask = _bound(lambda asked, peer=peer: _theirs(peer, asked), fresh.asked)
            told[name] = outcome(fresh, ask, peer.package)
        for name, word in (("ours", own), *told.items()):
            silent[name] += word.startswith(SILENT)
        met = not own.startswith((SILENT, "crash"))
        yield Row(defect.name, "small", own, "right, or refused", met, told | missing)
    wrong = {name: f"{silent[name]} of {len(DEFECTS)}" for name in peers}
    yield Row(
        "wrong without a word",
        "small",
        f"{silent['ours']} of {len(DEFECTS)}",
        "0",
        silent["ours"] == 0,
        wrong | missing,
    )


def _bound(function: Callable[[Any], float], asked: Asked) -> Callable[[], float]:
    return lambda: function(asked)
