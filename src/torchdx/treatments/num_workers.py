"""More, or fewer, processes that read rows."""

import inspect

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("num_workers", judged_on="speed")
def install(site: Site, prescription: Prescription) -> None:
    """`to` processes for every `DataLoader`."""
    if not prescription.to.isdigit():
        return
    wanted = int(prescription.to)

    def change(bound: inspect.BoundArguments) -> None:
        given = bound.arguments
        if given.get("num_workers", 0) == wanted:
            return
        given["num_workers"] = wanted
        if not wanted:
            for name in ("prefetch_factor", "persistent_workers", "multiprocessing_context"):
                given.pop(name, None)
            given.pop("timeout", None)
        site.done()

    site.loaders(change)
