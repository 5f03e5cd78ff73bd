"""Cross-entropy on probabilities, made right without touching the model.

A loss that takes its own softmax is given the logarithm of the probabilities: log-softmax of
`log p` is `log p` where the rows of p sum to one, so that the loss is exactly that of the scores in
front of the softmax.
"""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

SUM = 1e-3  # by which rows of probabilities may miss one in float16
TINY = 1e-38  # the smallest normal number of float32


def as_scores(probabilities: torch.Tensor) -> torch.Tensor:
    """Scores whose softmax over dimension 1 gives the probabilities (rows, classes, ...)."""
    return torch.log(probabilities.clamp_min(TINY))


def are_probabilities(values: torch.Tensor) -> bool:
    """Whether all are at least 0 and sum to one over dimension 1."""
    with torch.no_grad():
        sums = values.sum(1 if values.dim() > 1 else 0)
        return bool((values >= 0).all() and ((sums - 1).abs() < SUM).all())


@treatment("undo_softmax", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Only where what the loss is given are probabilities."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given = arguments["input"]
        if name == "cross_entropy" and are_probabilities(given):
            arguments["input"] = as_scores(given)
            site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
