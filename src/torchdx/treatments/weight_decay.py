"""Weaker weight decay: every group's times a number, for as long as a step lasts."""

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site
from torchdx.treatments.step_size import at_each_step, scaled

SETTING = "weight_decay"


@treatment("weight_decay")
def install(site: Site, prescription: Prescription) -> None:
    """Groups without decay stay as they are."""
    by = factor(prescription.to, 0.01)
    at_each_step(
        site, prescription.where, lambda optimizer: scaled(optimizer, by, setting=SETTING), SETTING
    )
