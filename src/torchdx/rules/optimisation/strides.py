"""How far steps go: what the rules on step size share."""

import math
from statistics import median

from torchdx.record.model import Optimizer, Record
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


class Course:
    """How the losses of a run went, in quarters.

    first   median of the first three; `top` the greatest over it
    fall    median of the last quarter over that of the third; `total` over the first losses
    swing   distance of the 10th and 90th percentile of the second half, over its median
    broken  the step of the first loss that is not finite
    """

    def __init__(self, record: Record) -> None:
        losses = finite_losses(record)
        self.count = len(losses)
        self.broken = next((s for s, loss in record.losses if not math.isfinite(loss)), None)
        self.first = median(losses[:3]) if losses else math.nan
        self.top = max(losses, default=math.nan) / self.first if self.first else math.nan
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
