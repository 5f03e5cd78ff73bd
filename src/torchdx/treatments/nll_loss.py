"""`nll_loss` on log-probabilities, where `cross_entropy` takes their log-softmax once more.

The log-softmax of log-probabilities is themselves: the numbers stay, up to rounding.
"""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.made_by import made_by
from torchdx.treatments.site import Site

PASSED_ON = ("input", "target", "weight", "ignore_index", "reduction")


@treatment("nll_loss")
def install(site: Site, prescription: Prescription) -> None:
    """Where labels are class numbers and are not smoothed."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        plain = not arguments.get("label_smoothing") and set(arguments) <= {
            *PASSED_ON,
            "label_smoothing",
        }
        labels = not arguments["target"].is_floating_point()
        if (
            name == "cross_entropy"
            and plain
            and labels
            and made_by(arguments["input"], "LogSoftmax")
        ):
            site.done()
            return functional.nll_loss(**{k: v for k, v in arguments.items() if k in PASSED_ON})
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
