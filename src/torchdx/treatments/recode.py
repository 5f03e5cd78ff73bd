"""Labels in the code that the loss takes them in."""

from typing import Any

import torch

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

NOWHERE = -100  # torch's own code of a row that is passed over


def recoded(target: torch.Tensor, codes: dict[float, float]) -> torch.Tensor:
    """Targets with each old code replaced by the new one; others stay as they are."""
    result = target.clone()
    for old, new in codes.items():
        result[target == old] = new
    return result


@treatment("recode", judged_on="validation", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """`to`: `1:0, 3:1` maps codes to codes; `+1` numbers all classes one higher, and skips none."""
    shift = prescription.to.lstrip("+-").isdigit() and int(prescription.to)
    pairs = (pair.partition(":") for pair in prescription.to.split(",") if ":" in pair)
    codes = {float(old): float(new) for old, _, new in pairs}

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        target = arguments.get("target")
        if isinstance(target, torch.Tensor) and codes and name.startswith("binary"):
            site.done()
            arguments["target"] = recoded(target, codes)
        elif _skips(arguments) and isinstance(target, torch.Tensor) and shift:
            site.done()
            arguments["target"] = target + shift
            arguments["ignore_index"] = NOWHERE
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)


def _skips(arguments: dict[str, Any]) -> bool:
    """Whether a loss passes over rows of some code that the program chose."""
    return bool(arguments.get("ignore_index", NOWHERE) != NOWHERE)
