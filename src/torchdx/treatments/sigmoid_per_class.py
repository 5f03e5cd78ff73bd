"""One sigmoid a class, where rows have several labels: each is asked for by itself."""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("sigmoid_per_class", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """A cross-entropy with shares of classes becomes the binary one of each class's presence."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given, target = arguments["input"], arguments["target"]
        soft = target.is_floating_point() and given.shape == target.shape
        plain = set(arguments) <= {"input", "target", "reduction"}
        if name == "cross_entropy" and soft and plain:
            present = (target > 0).to(given.dtype)
            reduction = arguments.get("reduction", "mean")
            site.done()
            return functional.binary_cross_entropy_with_logits(given, present, reduction=reduction)
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
