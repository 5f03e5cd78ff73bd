"""A longer or shorter step: every learning rate times a number, schedules undisturbed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from torch.optim import Optimizer

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor, treatment
from torchdx.treatments.site import Site

KIN = "step size"


@contextmanager
def scaled(
    optimizer: Optimizer, by: float, groups: Iterable[int] | None = None, setting: str = "lr"
) -> Iterator[None]:
    """The learning rates of an optimizer times `by`, of some groups or all, as long as it lasts.

    with scaled(optimizer, 0.1):
        optimizer.step()

    Args:
        optimizer: whose `param_groups` are changed.
        by: the factor.
        groups: their numbers, from 0; None: all.
        setting: what else to scale in place of the rate: `weight_decay`, say. Groups without it
            are left alone.
    """
    chosen = range(len(optimizer.param_groups)) if groups is None else groups
    own = [optimizer.param_groups[i] for i in chosen]
    before = [(group, group[setting]) for group in own if setting in group]
    for group, value in before:
        group[setting] = value * by
    try:
        yield
    finally:
        for group, value in before:
            group[setting] = value


@treatment("step_size", kin=KIN)
def install(site: Site, prescription: Prescription) -> None:
    """Set at each step and taken back behind it, so that a scheduler finds what it left."""
    by = factor(prescription.to, 0.1)
    at_each_step(site, prescription.where, lambda optimizer: scaled(optimizer, by), "lr")


def at_each_step(
    site: Site,
    where: str,
    change: Callable[[Optimizer], AbstractContextManager[None]],
    setting: str,
) -> None:
    """Each step of the optimizers that are meant, and have a setting, is taken inside a context."""
    under_way: dict[int, AbstractContextManager[None]] = {}

    def before(optimizer: Optimizer) -> None:
        after(optimizer)  # the step before it may have raised
        own = any(group.get(setting) for group in optimizer.param_groups)
        if own and site.meant(optimizer, where):
            under_way[id(optimizer)] = context = change(optimizer)
            context.__enter__()
            site.done()

    def after(optimizer: Optimizer) -> None:
        if (context := under_way.pop(id(optimizer), None)) is not None:
            context.__exit__(None, None, None)

    site.before_step(before)
    site.after_step(after)
