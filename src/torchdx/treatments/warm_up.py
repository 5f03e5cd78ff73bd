"""Linear warm-up: the first steps are shorter, and grow to their full size.

Early steps are the least certain, and those of Adam, whose averages are still empty, the more so
(Goyal et al. 2017, Accurate, Large Minibatch SGD, arXiv 1706.02677; Liu et al. 2020, On the
Variance of the Adaptive Learning Rate, arXiv 1908.03265).
"""

import weakref

from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site
from torchdx.treatments.step_size import KIN, at_each_step, scaled

STEPS = 100


def warmth(step: int, steps: int = STEPS) -> float:
    """The share of the full rate that a step is taken with, above 0 to 1.

    group["lr"] = full * warmth(step)

    Args:
        step: steps taken before, from 0.
        steps: after how many the full rate is reached.
    """
    return min(1.0, (step + 1) / max(1, steps))


@treatment("warm_up", kin=KIN)
def install(site: Site, prescription: Prescription) -> None:
    """Over the first `to` steps of each optimizer, whatever a scheduler makes of the rate."""
    steps = int(factor(prescription.to, STEPS))
    taken: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()

    def stepped(optimizer: Optimizer) -> None:
        taken[optimizer] = taken.get(optimizer, 0) + 1

    at_each_step(
        site,
        prescription.where,
        lambda optimizer: scaled(optimizer, warmth(taken.get(optimizer, 0), steps)),
        "lr",
    )
    site.after_step(stepped)
