"""Larger or smaller batches, where a `DataLoader` makes them."""

import inspect

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site


@treatment("batch_size")
def install(site: Site, prescription: Prescription) -> None:
    """`to` is a factor (`x8`) or rows (`64`): of loaders that shuffle, as training's do."""
    by = factor(prescription.to, 8.0)
    absolute = prescription.to.strip().isdigit()

    def change(bound: inspect.BoundArguments) -> None:
        given = bound.arguments
        size = given.get("batch_size", 1)
        if not given.get("shuffle") or size is None or given.get("batch_sampler") is not None:
            return
        given["batch_size"] = max(1, int(by) if absolute else round(size * by))
        if given["batch_size"] != size:
            site.done()

    site.loaders(change)
