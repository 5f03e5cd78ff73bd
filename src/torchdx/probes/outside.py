"""What a forward can reach outside of its module, and what is kept of that while a probe runs.

A copy of a module shares the program's globals, closures and classes with it. Code that assigns to
a global or an outer variable is refused. The values that the program's code names are kept and put
back, or refused where that cannot be done surely (files, generators, locks, containers of unknown
kinds); libraries' own code is trusted with all but plain containers.
"""

import dis
import functools
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from torchdx.probes.errors import CannotMeasure
from torchdx.probes.keeping import Keeper

MAX_FUNCTIONS = 400  # behind one forward, after which no more of libraries are read

_ASSIGNING = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_ATTRIBUTES = frozenset("LOAD_ATTR LOAD_METHOD LOAD_SUPER_ATTR STORE_ATTR DELETE_ATTR".split())
_IMPLICIT = frozenset({"__call__", "__getattr__", "__setattr__"})  # run without being named
_MAKING = ("__init__", "__post_init__")
_TORCHS = frozenset({"torch", "numpy", *sys.stdlib_module_names}) - {"__main__"}
_LIBRARIES = tuple(sysconfig.get_paths()[key] + "/" for key in ("stdlib", "purelib", "platlib"))

Function = Callable[..., Any]


class Outside:
    """The globals, closures and classes behind some functions, as they are now.

    Raises:
        CannotMeasure: one of the functions assigns to a variable that is not its own, or works with
            a module that `model` does not hold a copy of, or with what could not be put back.
    """

    def __init__(self, model: nn.Module, functions: Iterable[Function]) -> None:
        modules = list(model.modules())
        self._held = set(map(id, modules))
        self._keeper = Keeper(self._refuse, self._found)
        self._waiting: deque[Function] = deque(functions)
        self._classes: dict[type, bool] = {}  # whether each is trusted
        self._attributes: set[str] = set()
        self._new = set(_IMPLICIT)
        for module in modules:
            self._take_class(type(module))
        self._read_all()

    def restore(self) -> None:
        """Put everything back."""
        self._keeper.restore()

    def _read_all(self) -> None:
        """Read each function that can be reached, once; of libraries not all."""
        seen: set[types.CodeType] = set()
        while self._waiting or self._new:
            if not self._waiting:
                self._take_new()
                continue
            function = _bare(self._waiting.popleft())
            if function is None or function.__code__ in seen or _is_torchs(function):
                continue
            seen.add(function.__code__)
            trusted = function.__code__.co_filename.startswith(_LIBRARIES)
            if not trusted or len(seen) < MAX_FUNCTIONS:
                self._read(function, trusted=trusted)

    def _take_new(self) -> None:
        """What the classes at hand hold under the names that have been read since."""
        new, self._new = self._new - self._attributes, set()
        self._attributes |= new
        for cls, trusted in list(self._classes.items()):
            self._take_attributes(cls, new, trusted=trusted)

    def _read(self, function: types.FunctionType, *, trusted: bool) -> None:
        """Take in what one function names."""
        assigned, variables, attributes = _names(function.__code__)
        if assigned and not trusted:
            msg = f"{function.__name__} assigns to {assigned}, which is not its own variable"
            raise CannotMeasure(msg)
        for value in _values(function, variables):
            if type(value) is types.ModuleType:
                self._take_module(value, attributes)
            else:
                self._take(value, trusted=trusted)
        self._new |= attributes

    def _take(self, value: Any, *, trusted: bool) -> None:
        if _bare(value) is not None:
            self._found(value)
        elif issubclass(type(value), type):
            self._found(value)
            self._take_attributes(value, _MAKING, trusted=_is_trusted(value))
        elif issubclass(type(value), nn.Module):
            self._refuse(value)
        elif trusted:
            self._keeper.keep_if_plain(value)
        else:
            self._keeper.keep(value)

    def _found(self, value: Any) -> None:
        """A function or a class."""
        if issubclass(type(value), type):
            self._take_class(value)
            return
        holder = value.__self__ if type(value) is types.MethodType else None
        if isinstance(holder, nn.Module):
            self._refuse(holder)
        elif holder is not None and not _is_torchs(type(holder)):
            self._keeper.keep(holder)
        self._waiting.append(value)

    def _take_class(self, cls: type) -> None:
        for each in cls.__mro__:
            if each not in self._classes and not _is_torchs(each):
                self._classes[each] = trusted = _is_trusted(each)
                self._keeper.keep_class(each)
                self._take_attributes(each, self._attributes, trusted=trusted)

    def _take_attributes(self, cls: type, names: Iterable[str], *, trusted: bool) -> None:
        """What a class, not its instances, holds under some names."""
        own = vars(cls)
        for name in names:
            if name in own:
                self._take(own[name], trusted=trusted)

    def _take_module(self, module: types.ModuleType, attributes: frozenset[str]) -> None:
        """What the program's code names in a module of its own."""
        own = vars(module)
        file = str(own.get("__file__") or "")
        if _root(module.__name__) in _TORCHS or file.startswith(_LIBRARIES):
            return
        self._keeper.bind(own, attributes)
        for name in attributes & own.keys():
            if type(own[name]) is not types.ModuleType:
                self._take(own[name], trusted=False)

    def _refuse(self, module: nn.Module) -> None:
        what = "the model" if id(module) in self._held else "another module"
        msg = f"the forward or loss works with {what} ({type(module).__name__}) by a variable"
        raise CannotMeasure(msg)


def functions_of(model: nn.Module) -> Iterator[Function]:
    """The forwards of a model and its parts, and functions that the parts hold."""
    modules = list(model.modules())
    held = set(map(id, modules))
    if any(isinstance(module, torch.jit.ScriptModule) for module in modules):
        raise CannotMeasure("the model, or a part of it, is compiled by TorchScript")
    for module in modules:
        for value in vars(module).values():
            holder = value.__self__ if type(value) is types.MethodType else None
            if isinstance(holder, nn.Module) and id(holder) not in held:
                raise CannotMeasure("the model calls a module that it does not hold")
            if _bare(value) is not None:
                yield value
        yield type(module).forward


def _bare(value: Any) -> types.FunctionType | None:
    """The function of Python's inside a method, a property or a wrapper; None for anything else."""
    for _ in range(_WRAPPED):
        if type(value) is types.FunctionType:
            return value
        inside = _INSIDE.get(type(value))
        value = None if inside is None else getattr(value, inside, None)
    return None


_WRAPPED = 5  # one within the other
_INSIDE = {
    types.MethodType: "__func__",
    staticmethod: "__func__",
    classmethod: "__func__",
    property: "fget",
    functools.cached_property: "func",
    type(functools.lru_cache(len)): "__wrapped__",
}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


@functools.lru_cache(maxsize=10 * MAX_FUNCTIONS)
def _names(top: types.CodeType) -> tuple[str, frozenset[str], frozenset[str]]:
    """What is not its own that a function assigns to, the globals that it reads, and attributes."""
    assigned, variables, attributes = "", set(), set()
    for code in _codes(top):
        for instruction in dis.get_instructions(code):
            name, kind = instruction.argval, instruction.opname
            if kind in _ASSIGNING or (kind == "STORE_DEREF" and name in top.co_freevars):
                assigned = name
            elif kind in {"LOAD_GLOBAL", "LOAD_NAME"}:
                variables.add(name)
            elif kind in _ATTRIBUTES and name not in _MAKING:
                attributes.add(name)
    return assigned, frozenset(variables), frozenset(attributes)


def _values(function: types.FunctionType, variables: Iterable[str]) -> Iterator[Any]:
    """What a function finds in its globals, in outer functions, and in its defaults."""
    yield from (function.__globals__[n] for n in variables if n in function.__globals__)
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled
            continue


def _root(home: Any) -> str:
    return home.partition(".")[0] if isinstance(home, str) else ""


def _is_torchs(thing: Any) -> bool:
    """Whether torch, numpy or Python itself made a function or a class.

    A wrapper that torch put around a function of the program's names that one's module.
    """
    homes = [thing.__module__]
    if type(thing) is types.FunctionType:
        homes.append(thing.__globals__.get("__name__"))
    return all(_root(home) in _TORCHS for home in homes)


def _is_trusted(cls: type) -> bool:
    """Whether a class is a library's."""
    home = sys.modules.get(cls.__module__)
    return _is_torchs(cls) or str(getattr(home, "__file__", "")).startswith(_LIBRARIES)
