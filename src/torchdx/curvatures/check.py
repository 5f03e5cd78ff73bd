"""Whether the answers about a loss can be believed: symmetric, repeatable, smooth enough."""

import math
from dataclasses import dataclass

from torch import nn

from torchdx.curvatures.lanczos import skew_limit
from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Loss, Result, Spent, lines, short
from torchdx.curvatures.simulate import update_of
from torchdx.curvatures.vectors import dot, length
from torchdx.errors import CallError

_UNITS = (nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.PReLU, nn.Hardtanh, nn.MaxPool1d, nn.MaxPool2d)


@dataclass(frozen=True, repr=False)
class Check(Result):
    """What was tested before believing.

    sound          whether nothing stands against the answers
    twice          the loss is twice differentiable as far as torch knows; `refused`: torch's reason
    asymmetry      |u'Hv - v'Hu| / (|Hu| + |Hv|) for random u and v; nan where there is no product
    repeatable     two forwards give the same loss, bit by bit; `difference` between them
    kinks          kinds of modules that make the loss piecewise smooth
    pointwise, secant  curvature along the next update (the gradient without optimizer) at the
                   weights, and over the whole of it: apart where kinks are crossed
    suspects       operations whose second derivative is hand-written or known to be wrong
    method, because    how products are made, and why so
    """

    sound: bool
    twice: bool
    refused: str
    asymmetry: float
    symmetric: bool
    repeatable: bool
    difference: float
    kinks: tuple[str, ...]
    pointwise: float
    secant: float
    suspects: tuple[str, ...]
    method: str
    because: str
    about: Loss | None
    spent: Spent

    def __str__(self) -> str:
        rows = {
            "differentiable twice": "yes" if self.twice else f"no: {self.refused}",
            "symmetric": f"{'yes' if self.symmetric else 'no'} ({self.asymmetry:.1e})",
            "repeatable": "yes" if self.repeatable else f"no: differs by {self.difference:.1e}",
            "kinks": ", ".join(self.kinks) or "none known",
            "step": f"{short(self.pointwise)} at the weights, {short(self.secant)} over it",
            "products": f"{self.method} {self.because}".strip(),
        }
        if self.suspects:
            rows["suspects"] = ", ".join(self.suspects)
        title = f"check: {'sound' if self.sound else 'not to be believed'}"
        if self.about is None:
            return "\n".join([title, *(f"  {k:<21} {v}" for k, v in rows.items())])
        return lines(title, rows, self.about, self.spent)


def check(local: Local) -> Check:
    """Make the tests; about four products, five losses. Refusals become part of the answer."""
    hessian, objective = local.hessian, local.objective
    with local.counted() as spent:
        first, second = objective.value(), objective.value()
        difference = abs(first - second)
        repeatable = difference == 0 or (math.isnan(first) and math.isnan(second))
        refused, asymmetry = "", math.nan
        pointwise = secant = math.nan
        about: Loss | None = None
        try:
            asymmetry = _asymmetry(local)
            pointwise, secant = _curvatures(local)
            about = local.about()
        except CallError as error:
            refused = str(error)
    symmetric = asymmetry <= skew_limit(objective.layout.dtype)
    graph = hessian.graph
    return Check(
        sound=not refused and symmetric and repeatable,
        twice=not refused,
        refused=refused,
        asymmetry=asymmetry,
        symmetric=symmetric,
        repeatable=repeatable,
        difference=difference,
        kinks=_kinks(local),
        pointwise=pointwise,
        secant=secant,
        suspects=tuple(graph.suspects) if graph else (),
        method=hessian.method,
        because=hessian.because,
        about=about,
        spent=spent(),
    )


def _asymmetry(local: Local) -> float:
    with local.hessian.trusted():
        return max(local.hessian.asymmetry(), local.spectrum.krylov.skew)


def _curvatures(local: Local) -> tuple[float, float]:
    """Along the next update, or a gradient step of the parabola's own length."""
    with local.hessian.trusted():
        gradient = local.gradient
        if local.has_optimizer:
            direction = update_of(local.optimizer, local.objective, gradient)
        else:
            radius = length(local.product(gradient)) / (length(gradient) or 1.0)
            direction = -gradient / radius if radius else -gradient
        size = length(direction)
        if not size:
            return 0.0, 0.0
        pointwise = dot(direction, local.product(direction)) / size**2
        change = local.value_at(direction) - local.value
        return pointwise, 2 * (change - dot(gradient, direction)) / size**2


def _kinks(local: Local) -> tuple[str, ...]:
    kinds = {type(m).__name__ for m in local.objective.guard.modules if isinstance(m, _UNITS)}
    graph = local.hessian.graph
    operations = graph.operations if graph else {}
    if any(name.startswith(("ReluBackward", "LeakyRelu", "MaxPool")) for name in operations):
        kinds |= {"relu"} if not kinds else set()
    return tuple(sorted(kinds))
