"""`torchdx checkup`: questions before training, asked of a model that a function builds."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from torchdx.errors import CallError
from torchdx.report import checkup as report

_PARTS = (3, 4)


@click.command("checkup")
@click.argument("place", metavar="MODULE:FUNCTION")
def command(place: str) -> int:
    """Ask a model thirty questions before it is trained.

    FUNCTION takes nothing and returns the model, the loss function and one batch, and the optimizer
    if there is one. The loss function is called with the model and the batch, or with an output and
    its target.

    \b
    torchdx checkup train:parts
    torchdx checkup scripts/train.py:parts

    The exit status is 0 when everything passed or was unclear, 1 when something was found, 2 when
    the model could not be examined.
    """  # noqa: D301  # the sign that click knows is no backslash
    model, loss_fn, batch, *optimizer = _parts(place)
    from torchdx.checkups.checkup import checkup  # noqa: PLC0415  # torch, only now

    result = checkup(model, batch, loss_fn, *optimizer)
    report.show(result.rows, result.seconds)
    return 0 if result.passed else 1


def _parts(place: str) -> tuple[Any, ...]:
    """What the function at `place` returns.

    Raises:
        CallError: there is no such module or function, or it returns something else.
    """
    where, _, name = place.rpartition(":")
    if not where or not name:
        msg = f"checkup needs MODULE:FUNCTION, as in train:parts; it was given {place!r}."
        raise CallError(msg)
    function = getattr(_module(where), name, None)
    if not callable(function):
        msg = f"{where} has no function {name!r}."
        raise CallError(msg)
    parts = function()
    if not isinstance(parts, tuple) or len(parts) not in _PARTS:
        msg = (
            f"{place} must return (model, loss_fn, batch) or (model, loss_fn, batch, optimizer); "
            f"it returned {_said(parts)}."
        )
        raise CallError(msg)
    return parts


def _said(parts: Any) -> str:
    return f"{len(parts)} values" if isinstance(parts, tuple) else f"a {type(parts).__name__}"


def _module(where: str) -> ModuleType:
    """A module by its name, or by the path of its file; the current folder is searched first."""
    path = Path(where)
    if path.suffix == ".py":
        if not path.exists():
            msg = f"there is no file {where}."
            raise CallError(msg)
        sys.path.insert(0, str(path.parent.resolve()))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        return module
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and where.startswith(error.name):
            msg = f"there is no module {where!r} here or on the path."
            raise CallError(msg) from None
        raise
