"""The binary cross-entropy of scores, where the one of probabilities was given scores.

What had bounded them to 0 to 1 (a clamp, a ReLU) is left out, so that every score has a gradient.
"""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.last_function import LastFunction
from torchdx.treatments.made_by import made_by
from torchdx.treatments.site import Site

_BOUNDS = ("Clamp", "Hardtanh", "Relu", "Gelu", "Silu", "Elu", "Softplus", "Tanh")
_PROBABILITIES = ("Sigmoid", "Softmax", "Exp", "Gather", "Index", "Rsub", "Mul", "Div")


@treatment("bce_with_logits", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Where what the loss is given was not made a probability by its own function."""
    del prescription
    last = LastFunction(site, _BOUNDS)
    met = [False]

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given = arguments["input"]
        scores = given
        if name == "binary_cross_entropy" and given.requires_grad:
            scores = last.undone(given)
            met[0] = met[0] or not made_by(scores, *_PROBABILITIES)
        wrong = not made_by(scores, *_PROBABILITIES) if given.requires_grad else met[0]
        if name == "binary_cross_entropy" and wrong:
            site.done()
            return functional.binary_cross_entropy_with_logits(**{**arguments, "input": scores})
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
