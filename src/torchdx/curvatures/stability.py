"""The optimizer's step size against the largest that is stable for the curvature here.

Above the limit the quadratic model diverges. Nets trained with the full batch rise to it by
themselves and hover there, with a loss that still falls in the long run (Cohen et al. 2021): that
is the edge of stability, not a fault. A fault is a step beyond the limit while the loss rises.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from torchdx.curvatures.limits import Limits
from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Interval, Loss, Result, Spent, lines, short
from torchdx.curvatures.spectrum import Extremes, Spectrum
from torchdx.errors import CallError

LEAST_LOSSES = 9
EDGE = 0.9  # of the limit: from here on it is near
# Times the limit: training hovers below; healthy runs reach 1.4 (docs/limits.md). With scales for
# each coordinate (Adam) they are far above in the first steps.
HOVERING = 2.0
_RISE = 2.33  # standard deviations
_MOST = 300  # losses that are looked at, the last ones


@dataclass(frozen=True, repr=False)
class Stability(Result):
    """Step size against curvature.

    verdict    "stable", "near the edge", "edge of stability", "unstable", "beyond the limit" or
               "no limit" (no direction curves upwards)
    ratio      lr times the largest curvature over the method's limit: above 1 the quadratic model
               diverges
    lr_limit   the largest stable lr at these weights
    sharpness  largest eigenvalue, in the optimizer's coordinates where `scaled`, with coupled
               weight decay
    limit      of lr times sharpness; formula: where it comes from
    trend      of the losses given: "rising", "falling", "flat" or "unknown"
    """

    verdict: str
    because: str
    ratio: Interval
    lr: float
    lr_limit: Interval
    sharpness: Interval
    limit: float
    formula: str
    scaled: bool
    trend: str
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {
            "because": self.because,
            "lr": f"{short(self.lr)}, stable up to {self.lr_limit}",
            "ratio": f"{self.ratio}, 1 is the limit",
            "sharpness": f"{self.sharpness}{' in the coordinates of the step' * self.scaled}",
            "limit": f"lr times sharpness below {short(self.limit)} ({self.formula})",
        }
        return lines(f"step size: {self.verdict}", rows, self.about, self.spent)


def spectrum_for(local: Local, limits: Limits) -> Spectrum:
    """The spectrum in an optimizer's coordinates: the loss's own where these are plain."""
    scale, decay = limits.scale, limits.decay
    if scale is None and isinstance(decay, float):
        return local.spectrum

    def product(vector: torch.Tensor) -> torch.Tensor:
        inner = vector if scale is None else vector * scale
        found = local.product(inner) + decay * inner
        return found if scale is None else found * scale

    return local.spectrum_of(product)


def stability(local: Local, limits: Limits, found: Extremes, losses: Sequence[float]) -> Stability:
    """Judge the step size.

    Args:
        local: the loss near the weights.
        limits: of the optimizer.
        found: the spectrum's ends in its coordinates.
        losses: of the last steps, oldest first; nine or more, better fifty.
    """
    sharp = _sharpness(found, limits)
    ratio = sharp.times(limits.lr / limits.limit)
    trend = trend_of(losses)
    verdict, because = _verdict(ratio, trend, scaled=limits.scale is not None)
    return Stability(
        verdict, because, ratio, limits.lr, _lr_limit(sharp, limits), sharp, limits.limit,
        limits.formula, limits.scale is not None, trend, local.about(), found.spent,
    )  # fmt: skip


def _sharpness(found: Extremes, limits: Limits) -> Interval:
    """Decay that is the same everywhere, in plain coordinates, moves the spectrum as a whole."""
    shift = limits.decay if limits.scale is None and isinstance(limits.decay, float) else 0.0
    return Interval(found.highest.low + shift, found.highest.high + shift, found.highest.level)


def _lr_limit(sharp: Interval, limits: Limits) -> Interval:
    low, high = (limits.limit / s if s > 0 else math.inf for s in (sharp.high, sharp.low))
    return Interval(low, high, sharp.level)


def trend_of(losses: Sequence[float]) -> str:
    """Whether losses rise, by Mann and Kendall's test of ranks at 1%.

    Raises:
        CallError: there are some, but too few to tell.
    """
    values = [float(loss) for loss in losses]
    if not values:
        return "unknown"
    if len(values) < LEAST_LOSSES:
        msg = (
            f"stability(losses=...) was given {len(values)} losses; to tell a trend it takes "
            f"{LEAST_LOSSES} or more, of steps in a row, oldest first."
        )
        raise CallError(msg)
    if not all(map(math.isfinite, values)):
        return "rising"
    score = _kendall(values[-_MOST:])
    if score > _RISE:
        return "rising"
    return "falling" if score < -_RISE else "flat"


def _kendall(values: Sequence[float]) -> float:
    """Mann and Kendall's statistic: signs of all differences, in standard deviations."""
    pairs = itertools.combinations(values, 2)
    total = sum((later > earlier) - (later < earlier) for earlier, later in pairs)
    n = len(values)
    return total / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def _verdict(ratio: Interval, trend: str, *, scaled: bool) -> tuple[str, str]:
    if ratio.high <= 0:
        return "no limit", "no direction curves upwards: no step size diverges by curvature here"
    told = f"lr is {short(ratio.middle)} of the largest stable one"
    if ratio.high < EDGE:
        return "stable", told
    if ratio.high < 1:
        return "near the edge", told
    return _beyond(ratio, told, trend, scaled=scaled)


def _beyond(ratio: Interval, told: str, trend: str, *, scaled: bool) -> tuple[str, str]:
    """At the limit or above, the losses tell a fault from where training goes by itself."""
    if trend == "rising":
        return "unstable", f"{told}, and the loss rises: lower it"
    if trend == "unknown":
        return (
            "beyond the limit",
            f"{told}; give losses= to tell the edge of stability from a fault",
        )
    if ratio.low > HOVERING and trend != "falling" and not scaled:
        return "unstable", f"{told}, far above where training hovers, and the loss is {trend}"
    return (
        "edge of stability",
        f"{told}, but the loss is {trend}: training hovers there by itself, no fault",
    )
