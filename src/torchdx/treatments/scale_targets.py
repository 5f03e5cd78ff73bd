"""Targets in units of their own deviation, inside the loss: `(y - mean) / std`.

The net then answers in these units; how much of the targets' variance it explains is the same
number in any unit.
"""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.same_shape import PAIRED
from torchdx.treatments.site import Site


def standardised(target: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
    """Targets of any shape less their mean, over their deviation."""
    return (target - mean) / deviation


def moments(text: str) -> tuple[float, float] | None:
    """Mean and deviation as a prescription names them: `22.5 9.2`; None where it names none."""
    try:
        mean, deviation = (float(each) for each in text.split())
    except ValueError:
        return None
    return (mean, deviation) if deviation > 0 else None


@treatment("scale_targets", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """In torch's losses of numbers. `to` holds the mean and deviation of the training targets."""
    known = moments(prescription.to)

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        target = arguments["target"]
        if known and name in PAIRED and not target.requires_grad:
            arguments["target"] = standardised(target, *known).to(arguments["input"].dtype)
            site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
