"""Runs something once, right after a module has been imported, without importing it first."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Then = Callable[[ModuleType], None]


class _After(importlib.abc.MetaPathFinder):
    """Stands first among the finders until a module is imported."""

    def __init__(self, awaited: str, then: Then) -> None:
        self._awaited, self._then = awaited, then

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._awaited:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader, self._then)
        return spec


def _call_after(loader: Any, then: Then) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # an attribute of this one loader, in front of its class's own
        execute(module)
        then(module)

    loader.exec_module = exec_module


def after_torch(then: Callable[[], None]) -> None:
    """Call `then` when torch has been imported: now, if it is already."""
    after_import("torch", lambda _: then())


def after_import(name: str, then: Then) -> None:
    """Call `then(module)` when the module of a name has been imported: now, if it is already."""
    if name in sys.modules:
        then(sys.modules[name])
    else:
        sys.meta_path.insert(0, _After(name, then))
