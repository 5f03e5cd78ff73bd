"""A sigmoid before a loss that takes its own, made right without touching the model.

The loss is given the logit of the probabilities, whose sigmoid they are: exactly the scores in
front of the model's sigmoid, as far as float32 tells 1 - p from 0 (scores within 15.9 of 0).
"""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.made_by import made_by
from torchdx.treatments.site import Site


def as_logits(probabilities: torch.Tensor) -> torch.Tensor:
    """Scores of any shape whose sigmoid gives the probabilities."""
    return torch.logit(probabilities, torch.finfo(probabilities.dtype).eps)


@treatment("undo_sigmoid", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Only where what the loss is given comes from a sigmoid; without gradients, as then."""
    del prescription
    met = [False]

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given = arguments["input"]
        if name == "binary_cross_entropy_with_logits":
            squashed = made_by(given, "Sigmoid")
            met[0] = met[0] or squashed
            if squashed or (met[0] and not given.requires_grad and _within(given)):
                arguments["input"] = as_logits(given)
                site.done()
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)


def _within(given: torch.Tensor) -> bool:
    return bool(((given >= 0) & (given <= 1)).all())
