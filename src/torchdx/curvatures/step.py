"""Whether the optimizer's next step fits the curvature it meets.

Along the real update d the loss changes by g'd + d'Hd/2 to second order. The second term beats the
first where the step is too long for the curvature along it: ill-conditioning in the sense of
Goodfellow et al. 2016 (Deep Learning, eq. 8.10), tested for d, not for the gradient. On nets with
kinks the curvature that a step feels is that of the secant, which may differ in sign.
"""

import math
from dataclasses import dataclass

from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Loss, Result, Spent, lines, short
from torchdx.curvatures.simulate import update_of
from torchdx.curvatures.vectors import dot, length

TIMID = 100.0  # multiples of the step that the parabola would take
_VISIBLE = 4.0  # resolutions of the loss
_KINKED = 0.5  # relative difference of the two curvatures that is told


@dataclass(frozen=True, repr=False)
class Step(Result):
    """The next update against the curvature along it.

    verdict          "sound", "too long", "timid", "uphill", "no step" or "beyond second order"
    slope            g'd, in units of the loss
    predicted        g'd + d'Hd/2; `measured` is the loss after the step less that before
    resolution       below which a measured change is rounding
    curvature        d'Hd / |d|^2 at the weights; `secant` is that of the whole step,
                     2 (measured - g'd) / |d|^2
    best_multiple    of the step, where the parabola is lowest; None where it has no lowest point
    length           |d|; `cosine` is that between d and the negative gradient
    """

    verdict: str
    because: str
    slope: float
    predicted: float
    measured: float
    resolution: float
    curvature: float
    secant: float
    best_multiple: float | None
    length: float
    cosine: float
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        best = "-" if self.best_multiple is None else f"{short(self.best_multiple)} of the step"
        rows = {
            "because": self.because,
            "change": f"predicted {self.predicted:+.4g} (slope {self.slope:+.4g}), "
            f"measured {self.measured:+.4g} ± {self.resolution:.0e}",
            "curvature": f"{short(self.curvature)} at the weights, "
            f"{short(self.secant)} over the step",
            "best": best,
            "update": f"length {short(self.length)}, cosine to the negative gradient "
            f"{self.cosine:.3f}",
        }
        return lines(f"next step: {self.verdict}", rows, self.about, self.spent)


def step(local: Local, *, max_norm: float | None = None) -> Step:
    """Test the optimizer's next step on this loss; one product, two losses.

    Args:
        local: the loss near the weights.
        max_norm: of the gradient, where the program clips it by `clip_grad_norm_`.

    Raises:
        CallError: no optimizer, or one that cannot be simulated.
    """
    optimizer = local.optimizer
    with local.counted() as spent:
        gradient = local.gradient
        update = update_of(optimizer, local.objective, gradient, max_norm)
        size = length(update)
        slope = dot(gradient, update)
        second = dot(update, local.product(update)) if size else 0.0
        measured = local.value_at(update) - local.value
    norm = length(gradient)
    secant = 2 * (measured - slope) / size**2 if size else 0.0
    best = -slope / second if second > 0 else None
    cosine = -slope / (norm * size) if norm * size else 0.0
    resolution = local.rounding
    verdict, because = _verdict(slope, second, measured, resolution)
    pointwise = second / size**2 if size else 0.0
    if verdict in {"sound", "timid"} and _is_kinked(pointwise, secant, resolution, size):
        because += (
            "; the curvature over the step is another than at the weights: kinks, or a long step"
        )
    return Step(
        verdict, because, slope, slope + second / 2, measured, resolution, pointwise, secant, best,
        size, cosine, local.about(), spent(),
    )  # fmt: skip


def _is_kinked(pointwise: float, secant: float, resolution: float, size: float) -> bool:
    visible = abs(secant) * size**2 > _VISIBLE * resolution
    return visible and abs(secant - pointwise) > _KINKED * max(abs(secant), abs(pointwise))


def _verdict(slope: float, second: float, measured: float, resolution: float) -> tuple[str, str]:
    if slope == 0 and second == 0:
        return "no step", "the update is zero, or the loss does not depend on what it changes"
    if not math.isfinite(measured):
        return "too long", "the loss after the step is not finite"
    if slope >= 0:
        return "uphill", "to first order it raises this loss: momentum, or another batch's"
    if second / 2 > -slope:
        ratio = second / 2 / -slope
        return "too long", f"curvature costs {short(ratio)} times what the slope gains"
    if measured > resolution:
        promised = f"the parabola promises {slope + second / 2:+.3g}"
        return "beyond second order", f"{promised}, yet the loss rises: a shorter step, or kinks"
    return _fitting(-slope, second)


def _fitting(gain: float, second: float) -> tuple[str, str]:
    """Of a step that lowers the loss."""
    if second <= 0:
        return "sound", "the loss curves downwards along it, which helps"
    if gain / second > TIMID:
        return "timid", f"{short(gain / second)} times the step would be best"
    return "sound", f"curvature costs {second / 2 / gain:.2g} of what the slope gains"
