"""Whether a loss is convex around the weights: one pair of points can disprove it, none can prove.

For a problem that should be convex (linear models with ridge, L2-SVM) a violation is a bug in the
loss or its sign. Two tests: the chord lies above the loss at the middle of random pairs (Jensen),
and the Hessian has no negative eigenvalue here.
"""

from dataclasses import dataclass

import torch

from torchdx.curvatures.critical import zero_of
from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Interval, Loss, Result, Spent, lines, short
from torchdx.curvatures.spectrum import LEVEL
from torchdx.curvatures.vectors import gaussian, length


@dataclass(frozen=True, repr=False)
class Convexity(Result):
    """Evidence about convexity.

    verdict    "not convex" (proven), "convex here" (no eigenvalue below 0 at the level, no chord
               broken), or "no violation found"
    worst      the most by which the loss at a middle lay above its chord
    pairs      of random points that were tried; radius: within which they lie
    lowest     eigenvalue at the weights
    """

    verdict: str
    because: str
    worst: float
    pairs: int
    radius: float
    lowest: Interval
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {"because": self.because, "lowest": str(self.lowest)}
        rows["chords"] = f"{self.pairs} within {short(self.radius)}, worst {short(self.worst)}"
        return lines(f"convexity: {self.verdict}", rows, self.about, self.spent)


def convexity(
    local: Local,
    *,
    pairs: int = 20,
    radius: float | None = None,
    products: int = 60,
    level: float = LEVEL,
) -> Convexity:
    """Try to disprove convexity.

    Args:
        local: the loss near the weights.
        pairs: of random points.
        radius: of the ball around the weights; their own length, or 1, by default.
        products: for the smallest eigenvalue.
        level: of its bound.
    """
    with local.counted() as spent:
        radius = (length(local.weights) or 1.0) if radius is None else radius
        worst, slack = _worst(local, pairs, radius)
        spectrum = local.spectrum

        def enough() -> bool:
            low = spectrum.ends(level)[1]
            return low.low > -zero_of(local) or low.high < -zero_of(local)

        spectrum.grow(products, enough)
        lowest = spectrum.ends(level)[1]
        verdict, because = _judged(local, lowest, worst, slack)
    return Convexity(verdict, because, worst, pairs, radius, lowest, local.about(), spent())


def _judged(local: Local, lowest: Interval, worst: float, slack: float) -> tuple[str, str]:
    if worst > slack:
        return "not convex", f"at a middle the loss lies {short(worst)} above its chord"
    if lowest.high < -zero_of(local):
        return "not convex", f"an eigenvalue of {short(lowest.high)} or below is proven"
    if lowest.low >= -zero_of(local):
        return "convex here", "no eigenvalue below 0, no chord broken"
    return "no violation found", f"the smallest eigenvalue may still be {short(lowest.low)}"


def _worst(local: Local, pairs: int, radius: float) -> tuple[float, float]:
    """The worst violation of a chord, and what rounding explains."""
    layout = local.objective.layout
    generator = torch.Generator().manual_seed(local.seed + 13)
    worst, largest = -float("inf"), abs(local.value)
    for _ in range(pairs):
        a, b = (_near(local, radius, generator) for _ in range(2))
        ends = local.objective.value(a), local.objective.value(b)
        middle = local.objective.value((a + b) / 2)
        largest = max(largest, *map(abs, ends))
        worst = max(worst, middle - sum(ends) / 2)
    return worst, 16 * torch.finfo(layout.dtype).eps * largest


def _near(local: Local, radius: float, generator: torch.Generator) -> torch.Tensor:
    """A point in a random direction, at most `radius` away."""
    layout = local.objective.layout
    way = gaussian(layout.size, layout.dtype, layout.device, generator)
    reach = radius * float(torch.rand((), generator=generator))
    return local.weights + way * (reach / length(way))
