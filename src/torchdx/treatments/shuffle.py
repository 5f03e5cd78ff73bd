"""Rows in a new random order each epoch, where a `DataLoader` deals them in the order they lie."""

import zlib
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def shuffled(loader: DataLoader[Any], name: str = "shuffle") -> bool:
    """Have a loader deal its rows at random from now on; whether it did not already.

    The order comes from a generator of its own, seeded by `name`.
    """
    sampler = loader.batch_sampler
    if not isinstance(sampler, BatchSampler) or not isinstance(sampler.sampler, SequentialSampler):
        return False
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    sampler.sampler = RandomSampler(loader.dataset, generator=generator)  # type: ignore[arg-type]
    return True


@treatment("shuffle")
def install(site: Site, prescription: Prescription) -> None:
    """Loaders that are gone through where gradients are recorded; those that judge stay."""
    del prescription

    def around(original: Any, loader: DataLoader[Any]) -> Any:
        if torch.is_grad_enabled() and shuffled(loader):
            site.done()
        return original(loader)

    site.replace(DataLoader, "__iter__", around)
