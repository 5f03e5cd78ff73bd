"""What a forward can reach outside of its module, and what is kept of that while a probe runs.

A copy of a module shares the program's globals, closures and classes with it. Code that assigns to
a global or an outer variable is refused; containers, arrays, classes that it names are put back.
"""

import dis
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from torchdx.probes.errors import CannotMeasure

MAX_FUNCTIONS = 400  # read behind one forward
MAX_ELEMENTS = 100_000  # of a container or array that is kept

_ASSIGNING = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"})
_CONTAINERS = (list, dict, set, deque, bytearray)  # exactly these: a subclass copies as it likes
_OWN = frozenset({"torch", "numpy", "builtins", "math", "typing"})


class Outside:
    """The globals, closures and classes behind some functions, as they are now.

    Raises:
        CannotMeasure: one of the functions assigns to a variable that is not its own, or works with
            a module that `model` does not hold a copy of.
    """

    def __init__(self, model: nn.Module, functions: Iterable[Callable[..., Any]]) -> None:
        self._held = set(map(id, model.modules()))
        self._undo: list[Callable[[], None]] = []
        self._kept: set[int] = set()
        for cls in {c for module in model.modules() for c in type(module).__mro__}:
            list(self._keep(cls))
        seen: set[types.CodeType] = set()
        waiting = deque(functions)
        while waiting and len(seen) < MAX_FUNCTIONS:
            function = _bare(waiting.popleft())
            if function is not None and function.__code__ not in seen:
                seen.add(function.__code__)
                waiting.extend(self._read(function))

    def restore(self) -> None:
        """Put everything back."""
        for undo in self._undo:
            undo()

    def _read(self, function: types.FunctionType) -> Iterator[Callable[..., Any]]:
        """Take in what one function names; yields the functions among it."""
        for code in _codes(function.__code__):
            names = _names(code, function.__name__)
            for name in names:
                value = function.__globals__.get(name, _NOTHING)
                yield from self._keep(value)
                attributes = getattr(value, "__dict__", {}) if isinstance(value, type) else {}
                yield from (v for n, v in attributes.items() if n in names)
        for cell in function.__closure__ or ():
            try:
                yield from self._keep(cell.cell_contents)
            except ValueError:  # not filled
                continue
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            yield from self._keep(value)

    def _keep(self, value: Any) -> Iterator[Callable[..., Any]]:
        if isinstance(value, types.FunctionType | types.MethodType):
            holder = getattr(value, "__self__", None)
            if isinstance(holder, nn.Module):
                self._refuse(holder)
            yield value
        elif isinstance(value, nn.Module):
            self._refuse(value)
        elif id(value) not in self._kept and not _is_foreign(value):
            self._kept.add(id(value))
            undo = _class_undo(value) if isinstance(value, type) else _undo(value)
            if undo is not None:
                self._undo.append(undo)

    def _refuse(self, module: nn.Module) -> None:
        what = "the model" if id(module) in self._held else "another module"
        msg = f"the forward or loss works with {what} ({type(module).__name__}) by a variable"
        raise CannotMeasure(msg)


_NOTHING = object()


def functions_of(model: nn.Module) -> Iterator[Callable[..., Any]]:
    """The forwards of a model and its parts, the methods that they name, and functions that the
    parts hold, where not torch's.
    """
    held = set(model.modules())
    for module in held:
        cls = type(module)
        for value in vars(module).values():
            if (
                isinstance(getattr(value, "__self__", None), nn.Module)
                and value.__self__ not in held
            ):
                raise CannotMeasure("the model calls a module that it does not hold")
            if _bare(value) is not None and not _is_foreign(_bare(value)):
                yield value
        own = vars(module).get("forward")
        for function in filter(None, (own, cls.forward)):
            if _is_foreign(_bare(function)):
                continue
            yield function
            yield from _methods(cls, function)


def _methods(cls: type, function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Methods of a class that a method of it names, and those that they name in turn."""
    seen: set[str] = set()
    waiting = [function]
    while waiting:
        bare = _bare(waiting.pop())
        for code in _codes(bare.__code__) if bare is not None else ():
            for instruction in dis.get_instructions(code):
                name = instruction.argval
                if instruction.opname not in _ATTRIBUTES or not isinstance(name, str):
                    continue
                found: Any = getattr(cls, name, None)
                if name not in seen and _bare(found) is not None and not _is_foreign(_bare(found)):
                    seen.add(name)
                    waiting.append(found)
                    yield found


def _bare(function: Any) -> types.FunctionType | None:
    """The function of Python's inside a method, a property or a decorator."""
    if isinstance(function, property):
        function = function.fget
    function = getattr(function, "__func__", function)
    return function if isinstance(function, types.FunctionType) else None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _names(code: types.CodeType, function: str) -> set[str]:
    """The globals that a piece of code reads."""
    names = set()
    for instruction in dis.get_instructions(code):
        outer = instruction.argval in code.co_freevars and instruction.opname == "STORE_DEREF"
        if instruction.opname in _ASSIGNING or outer:
            msg = f"{function} assigns to {instruction.argval}, which is not its own variable"
            raise CannotMeasure(msg)
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            names.add(str(instruction.argval))
    return names


def _is_foreign(value: Any) -> bool:
    """Whether torch, numpy or Python itself made it."""
    home = getattr(value, "__module__", None) or ""
    return isinstance(home, str) and home.partition(".")[0] in _OWN


def _undo(value: Any) -> Callable[[], None] | None:
    """How to put a container or an array back; None for what cannot change, or is too large."""
    if isinstance(value, np.ndarray) and value.size <= MAX_ELEMENTS:
        array = value.copy()
        return lambda: np.copyto(value, array) if value.flags.writeable else None
    if isinstance(value, torch.Tensor) and value.numel() <= MAX_ELEMENTS:
        tensor, version = value.detach().clone(), value._version
        return lambda: _tensor_back(value, tensor, version)
    if type(value) in _CONTAINERS and len(value) <= MAX_ELEMENTS:
        return _container_undo(value)
    return None


def _tensor_back(value: torch.Tensor, was: torch.Tensor, version: int) -> None:
    if value._version != version:
        with torch.no_grad():
            value.copy_(was)


def _container_undo(value: Any) -> Callable[[], None]:
    was = value.copy()

    def undo() -> None:
        same = len(value) == len(was) and all(
            a is b for a, b in zip(_items(value), _items(was), strict=True)
        )
        if not same:
            value.clear()
            value.update(was) if isinstance(value, dict | set) else value.extend(was)

    return undo


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (part for pair in value.items() for part in pair)
    else:
        yield from value


def _class_undo(cls: type) -> Callable[[], None]:
    """Put the attributes of a class back, and the containers among them."""
    was = dict(vars(cls))
    containers = [_container_undo(v) for v in was.values() if type(v) in _CONTAINERS]

    def undo() -> None:
        now = dict(vars(cls))
        for name in now.keys() - was.keys():
            delattr(cls, name)
        for name, value in was.items():
            if now.get(name, _NOTHING) is not value and not name.startswith("__"):
                setattr(cls, name, value)
        for back in containers:
            back()

    return undo
