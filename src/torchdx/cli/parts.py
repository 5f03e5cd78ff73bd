"""What a function of the user's builds: a model, its loss function, a batch, an optimizer."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torchdx.errors import CallError

_PARTS = (3, 4)


def parts_of(place: str, command: str) -> tuple[Any, ...]:
    """What the function at `place` returns, as a command asks for it.

    Raises:
        CallError: there is no such module or function, or it returns something else.
    """
    where, _, name = place.rpartition(":")
    if not where or not name:
        msg = f"{command} needs MODULE:FUNCTION, as in train:parts; it was given {place!r}."
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
