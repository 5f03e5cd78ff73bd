"""bfloat16 where autocast was float16: the range of float32, so that no loss has to be scaled."""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("grad_scaler")
def install(site: Site, prescription: Prescription) -> None:
    """Every autocast region of float16, named or the device's own choice."""
    del prescription

    def entered(original: Any, region: Any, *args: Any, **kwargs: Any) -> Any:
        if region._enabled and region.fast_dtype is torch.float16:
            region.fast_dtype = torch.bfloat16
            site.done()
        return original(region, *args, **kwargs)

    site.replace(torch.autocast, "__enter__", entered)
