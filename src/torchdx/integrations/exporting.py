"""What an exporter is, and what all of them share."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from torchdx.errors import CallError
from torchdx.integrations.material import Material


class Exporter(Protocol):
    """A module `to_<tool>`."""

    def place(self, record: Path) -> Path:
        """Where an export of a record goes when nothing else is said: beside it."""

    def write(self, material: Material, path: Path, *, force: bool) -> str:
        """Write it, and return where it is and how it is opened, in one line.

        Raises:
            CallError: something is there already that may not go, or a package is missing.
        """


def needed(tool: str, module: str, packages: str) -> Any:
    """A module of an optional package.

    Raises:
        CallError: it is not installed here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = (
            f"cannot export to {tool}: {error}. It is an optional package. "
            f"Install it: pip install {packages}, or all of them: pip install 'torchdx[export]'."
        )
        raise CallError(msg) from None


def free(path: Path, *, force: bool) -> None:
    """Make room and a folder for a file; one that is there goes only by `force`.

    Raises:
        CallError: something is there and may not go.
    """
    if path.is_dir():
        msg = f"cannot write {path}: it is a folder. Name a file in it."
        raise CallError(msg)
    if (path.exists() or path.is_symlink()) and not force:
        msg = f"there is {path} already. Name another file, or replace it: --force."
        raise CallError(msg)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the disk refuses, said once."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}."
        raise CallError(msg) from None


@contextmanager
def surroundings(prefix: str, **variables: str) -> Iterator[None]:
    """For a while, of the environment's variables that begin with `prefix`, none but these."""
    before = dict(os.environ)
    try:
        for name in [name for name in before if name.startswith(prefix)]:
            del os.environ[name]
        os.environ.update(variables)
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
