"""How well rows are answered, in numbers that no treatment can move by redefining the loss.

`accuracy`   share of right answers, 0 to 1; `recall`: the mean of it over the classes asked for
`loss`       mean of -log of the probability that the net itself gives the right answer, in nats a
             row; whatever function the program minimises. At most twice what the shares of the
             classes alone would give, so that one wild row is not the whole mean
`explained`  for numbers: 1 - squared error / variance (R2), at least -1: alike in any unit
`value`      of the program's own loss, where nothing else can be had
`rows`       how many
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from torchdx.graph.heads import Head
from torchdx.trials.alike import alike

TINY = 1e-38
HALF = 0.5
WORST = 2.0  # times the entropy of the shares
_TRANSPARENT = ("View", "Unsafe", "Reshape", "Transpose", "T", "Permute", "Squeeze", "Unsqueeze",
                "ToCopy", "Alias", "Expand")  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """What was answered and what was asked for, rows first.

    kind   `classes`: `given` log-probabilities (rows, classes), `target` (rows,); `soft`: the
           same, shares; `units`: probabilities and targets (rows, units); `values`: (rows,
           outputs); `loss`: the program's own, (1,)
    """

    kind: Literal["classes", "soft", "units", "values", "loss"]
    given: torch.Tensor
    target: torch.Tensor


def answers_of(head: Head) -> Answers:
    """A loss's head as the net itself means it: what was squashed twice is squashed once."""
    given, target = head.given.detach(), head.target.detach()
    if head.kind in {"classes", "soft"}:
        given = _chances(head, given)
    elif head.kind == "units":
        inner = _fed(head.node, "Sigmoid")
        given = given if inner is None else inner.reshape(given.shape)
    else:
        given, target = _paired(given, target)
    kind, given, target = alike(head.kind, given.double().cpu(), target.cpu())
    return Answers(kind, given.clone(), target.clone())


def scores(prefix: str, answers: list[Answers]) -> dict[str, float]:
    """The scores of all rows together, each by `prefix.name`."""
    if not answers:
        return {}
    kind, shape = answers[-1].kind, answers[-1].given.shape[1:]  # what it was about at last
    same = [a for a in answers if a.kind == kind and a.given.shape[1:] == shape]
    given = torch.cat([a.given for a in same])
    target = torch.cat([a.target for a in same])
    measured = _MEASURES[kind](given, target)
    return {f"{prefix}.{name}": v for name, v in {**measured, "rows": float(len(given))}.items()}


def _chances(head: Head, given: torch.Tensor) -> torch.Tensor:
    """Log-probabilities, of a loss that was given a softmax's result too."""
    inner = _fed(head.node, "Softmax")
    if inner is not None and inner.numel() == given.numel():
        return torch.log(inner.reshape(given.shape).clamp_min(TINY))
    if head.normal:
        return given
    sums = given.sum(1)
    if bool((given >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all()):  # noqa: PLR2004  # rounding
        return torch.log(given.clamp_min(TINY))
    return torch.log_softmax(given, 1)


def _fed(node: Any, op: str) -> torch.Tensor | None:
    """What the loss was given, where that is the result of a softmax or a sigmoid itself."""
    below = _next(node)
    if below is not None and below.name().startswith("LogSoftmax"):
        below = _next(below)
    while below is not None and below.name().startswith(_TRANSPARENT):
        below = _next(below)
    if below is None or not below.name().startswith(op):
        return None
    try:
        result: torch.Tensor = below._saved_result
    except RuntimeError:
        return None
    return result.detach()


def _next(node: Any) -> Any:
    return next((function for function, _ in node.next_functions if function is not None), None)


def _paired(given: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows against their own targets, where (n,) and (n, 1) were spread out to (n, n)."""
    if given.dim() == 2 and given.shape[0] == given.shape[1]:  # noqa: PLR2004
        if given.stride(1) == 0 and target.stride(0) == 0:
            return given[:, :1], target[:1].T
        if given.stride(0) == 0 and target.stride(1) == 0:
            return given[:1].T, target[:, :1]
        if len(given) > 1 and _all_alike(given) and _all_alike(target.T):
            return given[:, :1], target[:1].T
    return given, target


def _all_alike(pairs: torch.Tensor) -> bool:
    """Whether every column is the first, up to rounding, and not every row too."""
    return bool(torch.allclose(pairs, pairs[:, :1].expand_as(pairs), rtol=1e-4, atol=1e-5))


def _classes(given: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    classes = given.shape[1]
    shares = target.double() if target.dim() == 2 else None  # noqa: PLR2004
    wanted = (target.argmax(1) if shares is not None else target).clamp(0, classes - 1)
    right = (given.nan_to_num(nan=-torch.inf).argmax(1) == wanted).double()
    right = right * given.isfinite().any(1)
    counts = torch.bincount(wanted, minlength=classes).double()
    hits = torch.bincount(wanted, weights=right, minlength=classes)
    prior = counts / counts.sum()
    limit = WORST * float(-(prior * prior.clamp_min(TINY).log()).sum())
    rows = given.gather(1, wanted[:, None])[:, 0] if shares is None else (given * shares).sum(1)
    return {
        "accuracy": float(right.mean()),
        "recall": float((hits[counts > 0] / counts[counts > 0]).mean()),
        "loss": _bounded(-rows, limit),
    }


def _units(given: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    wanted = target > HALF
    yes = (given > HALF) & given.isfinite()
    right = ((yes == wanted) & given.isfinite()).double()
    sides = [right[side].mean() for side in (wanted, ~wanted) if bool(side.any())]
    share = target.double().mean().clamp(TINY, 1)
    prior = -(share * share.log() + (1 - share) * (1 - share).clamp_min(TINY).log())
    sure = given.clamp(TINY, 1)
    unsure = (1 - given).clamp(TINY, 1)
    loss = -(target * sure.log() + (1 - target) * unsure.log())
    return {
        "accuracy": float(right.mean()),
        "recall": float(torch.stack(sides).mean()),
        "loss": _bounded(loss, WORST * float(prior)),
    }


def _bounded(loss: torch.Tensor, limit: float) -> float:
    """The mean over rows; one that is infinite, or no number, counts as -log of `TINY`."""
    worst = -math.log(TINY)
    value = float(loss.nan_to_num(nan=worst, posinf=worst).clamp_max(worst).mean())
    return min(value, limit) if limit else value


def _values(given: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    wanted = target.double()
    error = ((given - wanted) ** 2).sum()
    spread = ((wanted - wanted.mean(0)) ** 2).sum()
    explained = float(1 - error / spread) if float(spread) else 0.0
    return {"explained": max(-1.0, explained) if explained == explained else -1.0}  # noqa: PLR0124


def _loss(given: torch.Tensor, _target: torch.Tensor) -> dict[str, float]:
    return {"value": float(given.mean())}


_MEASURES = {
    "classes": _classes,
    "soft": _classes,
    "units": _units,
    "values": _values,
    "loss": _loss,
}
