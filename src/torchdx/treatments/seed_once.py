"""Seeds set once: what sets them again, once training has begun, does nothing."""

import random
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("seed_once")
def install(site: Site, prescription: Prescription) -> None:
    """From the first step on; generators of the program's own are left to it."""
    del prescription
    begun = [False]

    def stepped(_optimizer: Optimizer) -> None:
        begun[0] = True

    def around(original: Any, *args: Any, **kwargs: Any) -> Any:
        if not begun[0]:
            return original(*args, **kwargs)
        site.done()
        return torch.default_generator

    def silent(original: Any, *args: Any, **kwargs: Any) -> None:
        around(original, *args, **kwargs)

    site.after_step(stepped)
    for owner in (torch, torch.random):
        site.replace(owner, "manual_seed", around)
    for owner in (random, np.random):
        site.replace(owner, "seed", silent)
