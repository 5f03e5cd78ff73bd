"""How far steps go: what the rules on step size share."""

import math
from dataclasses import dataclass
from statistics import median

from torchdx.record.model import Optimizer, Record
from torchdx.rules.base import Evidence
from torchdx.rules.series import LEAST, finite_losses

FIRST = 5  # steps that count as the first


def busiest(record: Record) -> Optimizer | None:
    """The optimizer that stepped most."""
    stepped = [o for o in record.optimizers.values() if o.steps]
    return max(stepped, key=lambda o: o.steps, default=None)


def shares(record: Record, optimizer: Optimizer) -> list[float]:
    """Change of the weights over their size, of each step looked at."""
    found = [
        look.update_norm / look.weight_norm
        for look in record.looks_of(optimizer.id)
        if look.update_norm is not None and look.weight_norm
    ]
    return [share for share in found if math.isfinite(share)]


def rate(optimizer: Optimizer) -> float:
    """Its highest learning rate."""
    rates = [lr for _, lr in optimizer.lrs]
    return max(rates, default=float(optimizer.defaults.get("lr") or 0.0))


def sharpness(record: Record) -> list[float]:
    """Rate times greatest curvature over what the method bears, wherever it was measured."""
    facts = (event.facts for event in record.of("probe"))
    found = [f.get("ratio") for f in facts if f.get("kind") == "sharpness"]
    return [ratio for ratio in found if ratio is not None]


@dataclass(frozen=True)
class Curved:
    """Rate times greatest curvature over what the method bears, at one step.

    ratio      as measured; `low` and `high` are what the true one lies between, with 99%
    """

    step: int
    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}"


def curved(record: Record) -> list[Curved]:
    """Wherever it was measured with bounds, in the order of steps."""
    found = []
    for event in record.probes("sharpness"):
        facts = event.facts
        top, ratio = facts.get("curvature"), facts.get("ratio")
        if not top or ratio is None or "low" not in facts or "high" not in facts:
            continue
        per = ratio / top
        ends = sorted((per * facts["low"], per * facts["high"]))
        if all(map(math.isfinite, (ratio, *ends))):
            found.append(Curved(event.step, ratio, *ends))
    return found


def beyond(record: Record, limit: float = 1.0) -> Curved | None:
    """The measurement that lies furthest above a limit with its whole interval; None: none does.

    Where an interval lies across the limit nothing is claimed.
    """
    above = [known for known in curved(record) if known.low > limit]
    return max(above, key=lambda known: known.low, default=None)


def bound(known: Curved, against: float) -> Evidence:
    """A measurement as evidence: what is proved of it, and what it may be at most."""
    what = f"rate times curvature over the limit, at least (99%: at most {known.high:.3g})"
    return Evidence(what, float(f"{known.low:.4g}"), against)


class Course:
    """How the losses of a run went, in quarters.

    first   median of the first three; `top` the greatest over it
    fall    median of the last quarter over that of the third; `total` over the first losses
    peak    the step of the greatest loss
    swing   distance of the 10th and 90th percentile of the second half, over its median
    broken  the step of the first loss that is not finite
    """

    def __init__(self, record: Record) -> None:
        losses = finite_losses(record)
        self.count = len(losses)
        self.broken = next((s for s, loss in record.losses if not math.isfinite(loss)), None)
        self.first = median(losses[:3]) if losses else math.nan
        self.top = max(losses, default=math.nan) / self.first if self.first else math.nan
        known = ((loss, step) for step, loss in record.losses if math.isfinite(loss))
        self.peak = max(known, default=(0.0, 0))[1]
        half = losses[self.count // 2 :]
        third, last = half[: len(half) // 2], half[len(half) // 2 :]
        self.known = self.count >= 4 * LEAST and self.first > 0 and median(half) > 0
        self.fall = median(last) / median(third) if self.known else math.nan
        self.total = median(last) / self.first if self.known else math.nan
        ordered = sorted(half)
        wide = (
            (ordered[int(0.9 * (len(half) - 1))] - ordered[int(0.1 * (len(half) - 1))])
            if half
            else 0
        )
        self.swing = wide / median(half) if self.known else math.nan
