"""The loss along two lines through the weights, with the parabola of the Hessian beside it.

One line is the optimizer's own next update, made by a copy of it; the other the sharpest direction.
Each place costs a forward of the copy on which the curvature was measured. A loss that is not a
number stays so: a hole in the landscape is a finding.

Sources: Goodfellow et al. 2015 (arXiv 1412.6544); Bjorck et al. 2018, fig. 3.
"""

import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.probes.copying import stepper_of, unwrapped
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.stand_in import StandIn

PLACES = 13  # of each line: 0 and 1 are among them
UPDATE = (-1.0, 3.0)  # multiples of the update
AROUND = (-1.0, 1.0)  # of the sharpest direction's reach
_SPARE = 1.5  # times what the forwards left should take

Vector = Sequence[torch.Tensor]
Product = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Line:
    """The loss along one direction.

    name       `update` or `sharpest`
    length     of the direction, Euclidean; `places` are multiples of it, 0 is here
    losses     as measured: NaN where one is not a number
    slope, curvature   of the parabola, per multiple and per multiple squared: the loss at `a` is
               about `value + a * slope + a^2 / 2 * curvature`
    """

    name: str
    length: float
    places: tuple[float, ...]
    losses: tuple[float, ...]
    slope: float
    curvature: float


@dataclass(frozen=True)
class Slice:
    """What the loss of one batch looks like around the weights.

    value     of the loss here, less the program's factor, as in `modes`
    max_norm  to which the program clips gradients, and so the update; None: it does not
    training  whether the model was in training mode: then one dropout mask, and the batch's own
              statistics
    """

    lines: tuple[Line, ...]
    value: float
    max_norm: float | None
    training: bool
    rows: int


class Ground:
    """The place from which lines go: a rehearsed copy, its weights and what is known of them.

    Args:
        double: the copy, in its observed mode.
        weights: those of its parameters that the optimizer holds.
        gradient: of the loss as the program steps on it, factor included.
        product: a vector to that loss's Hessian times vector, in the weights' own coordinates.
    """

    def __init__(
        self, double: StandIn, weights: Vector, gradient: Vector, product: Product
    ) -> None:
        self.double, self.weights = double, list(weights)
        self.gradient, self._product = [g.detach() for g in gradient], product
        self._here = [w.detach().clone() for w in weights]
        self._factor = double.subject.factor

    def parabola(self, direction: Vector) -> tuple[float, float]:
        """Slope and curvature along a direction, in units of the loss without its factor.

        To be asked before any `loss`: moving the weights ends the graph.
        """
        image = self._product(direction)
        return _dot(self.gradient, direction) / self._factor, _dot(direction, image) / self._factor

    def loss(self, direction: Vector, multiple: float) -> float:
        """The loss at the weights plus a multiple of a direction."""
        with torch.no_grad():
            for weight, here, along in zip(self.weights, self._here, direction, strict=True):
                weight.copy_(here + multiple * along)
            answer = self.double.answer(state=self.double.subject.rng)
            return float(self.double.loss_of(answer))

    def back(self) -> None:
        """The weights as they were."""
        with torch.no_grad():
            for weight, here in zip(self.weights, self._here, strict=True):
                weight.copy_(here)

    @property
    def size(self) -> float:
        """The weights' Euclidean norm."""
        return math.sqrt(_dot(self._here, self._here))


def slice_of(
    ground: Ground,
    optimizer: Optimizer,
    sharpest: Vector,
    *,
    ends: float,
    max_norm: float | None = None,
) -> Slice | None:
    """Both lines; None where this thread's time would be over before.

    Args:
        ground: where they begin.
        optimizer: whose update is taken; it is not changed.
        sharpest: a direction in the weights.
        ends: in seconds of this thread.
        max_norm: of gradients, where the program clips them.
    """
    update = update_of(optimizer, ground, max_norm)
    if _dot(ground.gradient, sharpest) > 0:
        sharpest = [-s for s in sharpest]
    directions = [("update", update, UPDATE)] if update is not None else []
    directions += [("sharpest", sharpest, AROUND)]
    told = [(name, d, span, *ground.parabola(d)) for name, d, span in directions]
    began = time.thread_time()
    value = ground.loss(sharpest, 0.0)
    forward = time.thread_time() - began
    if time.thread_time() + _SPARE * forward * PLACES * len(told) > ends:
        return None
    lines = []
    for name, direction, span, slope, curvature in told:
        reach = 1.0 if name == "update" else _reach(ground, direction, value, curvature)
        along = [reach * d for d in direction]
        places = _between(*span)
        losses = tuple(ground.loss(along, place) for place in places)
        length = math.sqrt(_dot(along, along))
        lines.append(Line(name, length, places, losses, reach * slope, reach**2 * curvature))
    ground.back()
    subject = ground.double.subject
    clipped = max_norm if max_norm is not None and math.isfinite(max_norm) else None
    return Slice(tuple(lines), value, clipped, subject.training, ground.double.rows)


def _between(low: float, high: float) -> tuple[float, ...]:
    return tuple(round(low + (high - low) * i / (PLACES - 1), 6) for i in range(PLACES))


def update_of(optimizer: Optimizer, ground: Ground, max_norm: float | None) -> Vector | None:
    """What a step with the gradient of this batch adds to the weights; None: it needs a closure.

    The hooks of all optimizers (torchdx's own among them) do not see the copy's step.

    Raises:
        CannotMeasure: the optimizer cannot be copied.
    """
    step: Any = type(optimizer).step
    asked = inspect.signature(step).parameters.get("closure")
    if asked is not None and asked.default is inspect.Parameter.empty:
        return None
    held = [p for group in optimizer.param_groups for p in group["params"]]
    doubles = {id(p): nn.Parameter(p.detach().clone(), p.requires_grad) for p in held}
    mine = [doubles[id(p)] for p in _originals(ground)]
    try:
        double = stepper_of(optimizer, dict(doubles))
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        msg = f"the optimizer cannot be copied: {error}"
        raise CannotMeasure(msg) from error
    for parameter, gradient in zip(mine, ground.gradient, strict=True):
        parameter.grad = gradient.clone().to(parameter.dtype)
    if max_norm is not None and math.isfinite(max_norm):
        _clip(mine, max_norm)
    before = [p.detach().clone() for p in mine]
    with torch.no_grad():
        getattr(step, "__wrapped__", step)(double) if hasattr(step, "hooked") else step(double)
    return [(p.detach() - b).to(w) for p, b, w in zip(mine, before, ground.weights, strict=True)]


def _originals(ground: Ground) -> list[nn.Parameter]:
    """The program's own parameters, in the order of the copy's weights."""
    names = {id(p): n for n, p in ground.double.model.named_parameters()}
    own = dict(unwrapped(ground.double.subject.model).named_parameters())
    return [own[names[id(w)]] for w in ground.weights]


def _clip(parameters: Sequence[nn.Parameter], max_norm: float) -> None:
    """As `clip_grad_norm_` does, which torchdx watches."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
    share = min(1.0, max_norm / (norm + 1e-6))
    for gradient in gradients:
        gradient.mul_(share)


def _reach(ground: Ground, direction: Vector, value: float, curvature: float) -> float:
    """How far to look: to where curvature alone doubles the loss, the weights' size at most."""
    length = math.sqrt(_dot(direction, direction)) or 1.0
    most = (ground.size or 1.0) / length
    natural = math.sqrt(2 * abs(value) / abs(curvature)) if value and curvature else most
    return min(natural, most)


def _dot(a: Vector, b: Vector) -> float:
    return float(sum((x.double() * y.double()).sum().cpu() for x, y in zip(a, b, strict=True)))
