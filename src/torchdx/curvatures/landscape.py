"""The loss along lines and planes through the weights, with the parabola of the Hessian beside it.

A loss that is not a number stays so: a hole in the landscape is a finding.

Sources: Goodfellow et al. 2015 (lines between weights); Li et al. 2018 (planes); Bjorck et al.
2018, fig. 3 (relative loss after steps of growing size).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Loss, Result, Spent, lines, short
from torchdx.curvatures.simulate import update_of
from torchdx.curvatures.vectors import dot, gaussian, length
from torchdx.errors import CallError

_NATURAL = 0.1  # of the weights' length, where nothing tells a better reach
_BETWEEN = (-0.25, 1.25)
_UPDATE = (-1.0, 3.0)
Span = tuple[float, float]
_AXES = 2
_ROUNDED = 1e-9
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Axis:
    """One direction: its name, length and unit, and the parabola along it.

    places     multiples of the direction, 0 is here
    slope, curvature   of the parabola, per multiple and per multiple squared
    """

    name: str
    length: float
    places: tuple[float, ...]
    slope: float
    curvature: float


@dataclass(frozen=True, repr=False)
class Slice(Result):
    """Losses on a line (n,) or plane (rows along the first axis).

    losses    as measured, NaN where they are not a number
    parabola  to second order from the weights; along a plane with the mixed term
    barrier   of a line between two weights: its highest loss above the straight line between the
              ends; None elsewhere
    """

    axes: tuple[Axis, ...]
    losses: tuple[Any, ...]
    parabola: tuple[Any, ...]
    barrier: float | None
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        names = " and ".join(axis.name for axis in self.axes)
        rows = {a.name: f"{short(a.places[0])} to {short(a.places[-1])} times " for a in self.axes}
        for axis in self.axes:
            rows[axis.name] += f"length {short(axis.length)}"
        table = self.losses if len(self.axes) == _AXES else (self.losses,)
        flat = [v for row in table for v in row if math.isfinite(v)]
        if flat:
            rows["loss"] = f"{short(min(flat))} to {short(max(flat))}"
            for index, row in enumerate(table):
                rows["  " + " " * index if index else "drawn"] = _drawn(row, min(flat), max(flat))
        holes = sum(not math.isfinite(v) for row in table for v in row)
        if holes:
            rows["holes"] = f"{holes} places where the loss is not finite"
        if self.barrier is not None:
            rows["barrier"] = f"{short(self.barrier)} above the straight line between the ends"
        return lines(f"loss along {names}", rows, self.about, self.spent)


@dataclass(frozen=True, repr=False)
class Reach(Result):
    """Relative loss after one gradient step of growing size, for each batch.

    lrs       step sizes, ascending
    relative  rows: batches; loss after over loss before, NaN stays NaN
    reach     for each batch the largest lr up to which the loss does not rise
    """

    lrs: tuple[float, ...]
    relative: tuple[tuple[float, ...], ...]
    reach: tuple[float, ...]
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {
            f"batch {index}": " ".join(f"{short(v):>8}" for v in row)
            + f"   no rise up to {short(self.reach[index])}"
            for index, row in enumerate(self.relative)
        }
        heading = {"lr": " ".join(f"{short(lr):>8}" for lr in self.lrs)}
        return lines("loss after a gradient step, relative", heading | rows, self.about, self.spent)


def slice_of(
    local: Local,
    directions: Sequence[Any],
    *,
    n: int = 21,
    reach: float | Span | None = None,
) -> Slice:
    """The loss along one direction, or over the plane of two.

    Args:
        local: the loss near the weights.
        directions: each "gradient", "update", "eig0" (the largest eigenvalue's), "eig1", ...,
            "eig-1" (the smallest's), "random", a state dict (a line to those weights), or a flat
            tensor (n,).
        n: places along each.
        reach: from and to, in multiples of the direction, or a number for minus to plus.

    Raises:
        CallError: a direction is not known, or not of these weights.
    """
    if not 1 <= len(directions) <= _AXES or n < 2:  # noqa: PLR2004
        msg = f"slice() takes one or two directions and n of 2 or more; found {len(directions)}."
        raise CallError(msg)
    with local.counted() as spent:
        found = [_direction(local, d) for d in directions]
        vectors = [vector for _, vector, _ in found]
        images = [local.product(v) for v in vectors]
        axes = tuple(
            Axis(name, length(vector), _span(span, reach, n), *_parabola(local, vector, image))
            for (name, vector, span), image in zip(found, images, strict=True)
        )
        losses, parabola = _measured(local, axes, vectors, images)
    between = len(axes) == 1 and isinstance(directions[0], Mapping)
    barrier = _barrier(axes[0], losses) if between else None
    return Slice(axes, losses, parabola, barrier, local.about(), spent())


def reach_of(local: Local, lrs: Sequence[float]) -> Reach:
    """One gradient step on each batch by itself, of each size; nothing is kept of it."""
    if not lrs or any(not lr > 0 for lr in lrs):
        raise CallError("growing_steps(lrs): step sizes above 0 are needed.")
    objective = local.objective
    ascending = tuple(sorted(map(float, lrs)))
    with local.counted() as spent:
        rows = tuple(_relative(objective.alone(i), ascending) for i in range(len(objective.parts)))
    reach = tuple(_reached(ascending, row) for row in rows)
    return Reach(ascending, rows, reach, local.about(), spent())


def _relative(objective: Any, lrs: tuple[float, ...]) -> tuple[float, ...]:
    gradient, before = objective.gradient(), objective.value()
    after = [objective.value(objective.weights - lr * gradient) for lr in lrs]
    return tuple(value / before if before else math.nan for value in after)


def _reached(lrs: tuple[float, ...], row: tuple[float, ...]) -> float:
    reached = 0.0
    for lr, value in zip(lrs, row, strict=True):
        if not value <= 1:
            break
        reached = lr
    return reached


def _direction(local: Local, asked: Any) -> tuple[str, torch.Tensor, Span]:
    """Name, vector and natural span of a direction."""
    layout = local.objective.layout
    if isinstance(asked, Mapping):
        return "the other weights", _towards(local, asked), _BETWEEN
    if isinstance(asked, torch.Tensor):
        if asked.numel() != layout.size:
            msg = f"A direction has {asked.numel()} numbers, the weights have {layout.size}."
            raise CallError(msg)
        return "the direction given", asked.reshape(-1).to(local.weights), (-1.0, 1.0)
    if asked == "gradient":
        return _gradient(local)
    if asked == "update":
        update = update_of(local.optimizer, local.objective, local.gradient)
        return "update", update, _UPDATE
    if asked == "random":
        generator = torch.Generator().manual_seed(local.seed + 7)
        found = gaussian(layout.size, layout.dtype, layout.device, generator)
        return "random", found * (_NATURAL * _size(local) / length(found)), (-1.0, 1.0)
    if isinstance(asked, str) and asked.startswith("eig"):
        return _eigenvector(local, asked)
    msg = (
        f"slice({asked!r}): a direction is 'gradient', 'update', 'eig0', 'eig1', ..., 'eig-1', "
        "'random', a state dict or a tensor."
    )
    raise CallError(msg)


def _gradient(local: Local) -> tuple[str, torch.Tensor, Span]:
    gradient = local.gradient
    curved = dot(gradient, local.product(gradient))
    square = dot(gradient, gradient)
    if not square:
        raise CallError("slice('gradient'): the gradient is 0 here, so it has no direction.")
    multiple = square / curved if curved > 0 else _NATURAL * _size(local) / math.sqrt(square)
    return "-gradient", -multiple * gradient, _UPDATE


def _eigenvector(local: Local, asked: str) -> tuple[str, torch.Tensor, Span]:
    try:
        rank = int(asked.removeprefix("eig"))
    except ValueError:
        msg = f"slice({asked!r}): after 'eig' comes a number, 0 for the largest, -1 the smallest."
        raise CallError(msg) from None
    which, k = ("largest", rank + 1) if rank >= 0 else ("smallest", -rank)
    found = local.spectrum.top(k, which=which)
    value, vector = found.values[-1], found.vectors[-1]
    if dot(vector, local.gradient) > 0:
        vector = -vector
    natural = math.sqrt(2 * abs(local.value) / abs(value)) if value and local.value else 1.0
    return asked, min(natural, _size(local)) * vector, (-1.0, 1.0)


def _towards(local: Local, state: Mapping[str, Any]) -> torch.Tensor:
    layout = local.objective.layout
    missing = [name for name in layout.names if name not in state]
    if missing:
        msg = f"The other weights lack {', '.join(missing[:3])}: are they of this model?"
        raise CallError(msg)
    wrong = [
        name
        for name, shape in zip(layout.names, layout.shapes, strict=True)
        if state[name].shape != shape
    ]
    if wrong:
        msg = f"{', '.join(wrong[:3])} has another shape in the other weights."
        raise CallError(msg)
    there = layout.flat(state[name].to(layout.device) for name in layout.names)
    return there - local.weights


def _size(local: Local) -> float:
    return length(local.weights) or 1.0


def _span(natural: Span, reach: float | Span | None, n: int) -> tuple[float, ...]:
    """Places along a direction."""
    low, high = natural if reach is None else _ends(reach)
    return tuple(low + (high - low) * i / (n - 1) for i in range(n))


def _ends(reach: float | Span) -> Span:
    return reach if isinstance(reach, tuple) else (-float(reach), float(reach))


def _parabola(local: Local, vector: torch.Tensor, image: torch.Tensor) -> tuple[float, float]:
    return dot(local.gradient, vector), dot(vector, image)


def _measured(
    local: Local, axes: tuple[Axis, ...], vectors: list[torch.Tensor], images: list[torch.Tensor]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    first, value = axes[0], local.value

    def parabola(a: float, axis: Axis) -> float:
        return a * axis.slope + a * a * axis.curvature / 2

    if len(axes) == 1:
        losses = tuple(local.value_at(a * vectors[0]) for a in first.places)
        return losses, tuple(value + parabola(a, first) for a in first.places)
    second, mixed = axes[1], dot(vectors[0], images[1])
    plane = tuple(
        tuple(local.value_at(a * vectors[0] + b * vectors[1]) for b in second.places)
        for a in first.places
    )
    smooth = tuple(
        tuple(
            value + parabola(a, first) + parabola(b, second) + a * b * mixed for b in second.places
        )
        for a in first.places
    )
    return plane, smooth


def _barrier(axis: Axis, losses: tuple[float, ...]) -> float:
    """Between the two weights alone; NaN where a loss there is."""
    inner = [
        (a, v) for a, v in zip(axis.places, losses, strict=True) if -_ROUNDED <= a <= 1 + _ROUNDED
    ]
    if any(math.isnan(v) for _, v in inner):
        return math.nan
    (a, first), (b, last) = inner[0], inner[-1]
    return max(v - (first + (last - first) * (p - a) / ((b - a) or 1.0)) for p, v in inner)


def _drawn(row: Sequence[float], low: float, high: float) -> str:
    width = (high - low) or 1.0
    return "".join(
        _BARS[round((v - low) / width * (len(_BARS) - 1))] if math.isfinite(v) else "×" for v in row
    )
