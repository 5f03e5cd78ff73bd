"""What a treatment is, and the list of all."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from torchdx.errors import CallError
from torchdx.rules.base import Prescription

if TYPE_CHECKING:  # torch is wanted only where a treatment is carried out
    from torchdx.treatments.site import Site

Install = Callable[["Site", Prescription], None]
JudgedOn = Literal["rows", "validation", "speed"]


@dataclass(frozen=True)
class Treatment:
    """The code that carries out the prescriptions with one `change`.

    draws      whether it uses up random numbers of the program: every arm of its trial is then
               seeded anew before each step
    judged_on  what shows its effect: the answers to rows that the program trained on, those to the
               rows that it validates on, or the time of a step
    redefines  whether the program's own loss is another number under it, which then shows nothing
    kin        the generic control that it resembles (`step size`), which then says nothing against
               it; empty for none
    module     where it is written
    """

    change: str
    install: Install
    draws: bool = False
    judged_on: JudgedOn = "rows"
    kin: str = ""
    module: str = ""
    redefines: bool = False


_REGISTRY: dict[str, Treatment] = {}


def treatment(
    change: str,
    *,
    draws: bool = False,
    judged_on: JudgedOn = "rows",
    kin: str = "",
    redefines: bool = False,
) -> Callable[[Install], Install]:
    """Register the function below as what carries out `change`."""

    def register(install: Install) -> Install:
        known = _REGISTRY.get(change)
        if known is not None and known.module != install.__module__:
            msg = f"two treatments carry out {change!r}: {known.module} and {install.__module__}"
            raise CallError(msg)
        module = install.__module__
        _REGISTRY[change] = Treatment(change, install, draws, judged_on, kin, module, redefines)
        return install

    return register


@cache
def all_treatments() -> dict[str, Treatment]:
    """Every treatment in the files beside this one, by its change. Imports torch."""
    package = importlib.import_module("torchdx.treatments")
    for module in pkgutil.iter_modules(package.__path__, "torchdx.treatments."):
        importlib.import_module(module.name)
    return dict(_REGISTRY)


def factor(text: str, default: float) -> float:
    """A number that a prescription names: `x0.5`, `0.1`, `1/4`."""
    upper, _, lower = text.strip().lstrip("x").partition("/")
    try:
        return float(upper) / float(lower or 1)
    except (ValueError, ZeroDivisionError):
        return default
