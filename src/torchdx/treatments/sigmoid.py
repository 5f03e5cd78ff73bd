"""A sigmoid of a single unit in place of its softmax, which is always 1."""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("sigmoid", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """Softmax over one unit of rows (n, 1); and a cross-entropy of one score a row."""
    del prescription

    def softmax(original: Any, given: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        dim = args[0] if args else kwargs.get("dim")
        over_unit = dim in {1, -1} or dim is None
        if given.dim() == 2 and given.shape[1] == 1 and over_unit:  # noqa: PLR2004
            site.done()
            return torch.sigmoid(given)
        result: torch.Tensor = original(given, *args, **kwargs)
        return result

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given, target = arguments["input"], arguments["target"]
        single = given.dim() == 2 and given.shape[1] == 1 and given.shape == target.shape  # noqa: PLR2004
        if name == "cross_entropy" and single and set(arguments) <= {"input", "target"}:
            site.done()
            return functional.binary_cross_entropy_with_logits(given, target)
        loss: torch.Tensor = original(**arguments)
        return loss

    for owner in (functional, torch, torch.Tensor):
        site.replace(owner, "softmax", softmax)
    site.losses(around)
