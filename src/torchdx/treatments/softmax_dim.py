"""The softmax over the classes of each row, where it ran over the rows of the batch."""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

_IMPLICIT = frozenset({0, 1, 3})  # numbers of dimensions at which torch by itself takes the first


@treatment("softmax_dim")
def install(site: Site, prescription: Prescription) -> None:
    """Softmax and log-softmax over dimension 0 of several, named or torch's own choice."""
    wanted = int(prescription.to or -1)

    def around(original: Any, given: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        dim = args[0] if args else kwargs.get("dim")
        over_rows = dim in {0, -given.dim()} or (dim is None and given.dim() in _IMPLICIT)
        if given.dim() > 1 and over_rows:
            site.done()
            args, kwargs = (wanted, *args[1:]), {k: v for k, v in kwargs.items() if k != "dim"}
        result: torch.Tensor = original(given, *args, **kwargs)
        return result

    for owner in (functional, torch, torch.Tensor):
        for name in ("softmax", "log_softmax"):
            site.replace(owner, name, around)
