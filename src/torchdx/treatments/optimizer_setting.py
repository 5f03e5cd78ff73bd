"""Adam's `eps` or `betas`, put back to where they bound its steps."""

from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


def numbers(text: str) -> float | tuple[float, ...]:
    """`1e-8` as a number, `0.9, 0.999` as several."""
    parts = tuple(float(part) for part in text.split(","))
    return parts if len(parts) > 1 else parts[0]


@treatment("optimizer_setting")
def install(site: Site, prescription: Prescription) -> None:
    """`where` names the setting, `to` its value: for every group that has another."""
    name, value = prescription.where, numbers(prescription.to)

    def before(optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            if name in group and group[name] != value:
                group[name] = value
                site.done()

    site.before_step(before)
