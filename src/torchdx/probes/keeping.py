"""Takes note of a value, so that it can be put back after a probe, or refuses it.

Nothing of the program's runs on the way: kinds are told by `type`, items are compared by identity,
keys are only those that Python itself hashes, attributes are read and set in `__dict__`.
"""

import contextlib
import datetime as dt
import decimal
import enum
import fractions
import functools
import logging
import operator
import pathlib
import re
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from torchdx.probes.errors import CannotMeasure

Undo = Callable[[], None]

MAX_ITEMS = 100_000  # of a container
MAX_ELEMENTS = 10_000_000  # of an array or a tensor
DEPTH = 5  # of containers and objects within each other

NOTHING = object()
_FUNCTIONS = (
    *(types.FunctionType, types.MethodType, property, staticmethod, classmethod),
    *(functools.cached_property, type(functools.lru_cache(len))),
)
_SCALARS = (int, float, complex, str, bytes, bool, type(None))
_FIXED = (
    *_SCALARS,
    *(types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType),
    *(types.EllipsisType, types.NotImplementedType, types.GenericAlias, types.UnionType),
    *(types.MemberDescriptorType, types.GetSetDescriptorType, types.ModuleType, range, slice),
    *(operator.itemgetter, operator.attrgetter, operator.methodcaller),
    type(vars(functools._CacheInfo)["hits"]),  # a field of a named tuple's class
    *(re.Pattern, pathlib.PurePath, enum.Enum, logging.Logger),  # logging rests meanwhile
    *(dt.date, dt.time, dt.timedelta, decimal.Decimal, fractions.Fraction),
    *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
    *(torch.finfo, torch.iinfo),
    *(np.generic, np.dtype, np.ufunc),
)
_FIXED_HOMES = ("typing", "torch._ops", "torch.jit")  # of classes that have no names for kinds
_MAPPINGS = (dict, defaultdict, Counter, OrderedDict)  # exactly these: others copy as they like
_CONTAINERS = (*_MAPPINGS, list, set, deque, bytearray)
_HASHING = (*_MAPPINGS, set)
_KEYS = (*_SCALARS, torch.dtype, torch.device, torch.Size)


class Keeper:
    """The values that were noted, and how each is put back.

    Args:
        refused: called with each `nn.Module` that is met; raises.
        found: called with each function and class that is met.
    """

    def __init__(self, refused: Callable[[nn.Module], None], found: Callable[[Any], None]) -> None:
        self._refused, self._found = refused, found
        self._kept: dict[int, Any] = {}
        self._plain: dict[int, Any] = {}
        self._undo: list[Undo] = []

    def keep(self, value: Any, depth: int = DEPTH) -> None:
        """Note a value and all that it holds.

        Raises:
            CannotMeasure: it could not be put back.
        """
        kind = type(value)
        if id(value) in self._kept or _is_fixed(kind):
            return
        self._kept[id(value)] = value
        if issubclass(kind, nn.Module):
            self._refused(value)
        elif issubclass(kind, (type, *_FUNCTIONS)):
            self._found(value)
        elif not depth:
            raise _beyond(_name(kind) + " deep within other things")
        elif kind is functools.partial:
            self._keep_all((value.func, *value.args, *value.keywords.values()), depth)
        elif kind is frozenset or _is_tuple(kind):
            self._keep_all(value if kind is frozenset else tuple.__iter__(value), depth)
        else:
            self._keep_changing(kind, value, depth)

    def bind(self, names: dict[str, Any], wanted: Iterable[str]) -> None:
        """Note which values some names of a module have."""
        was = {name: names.get(name, NOTHING) for name in wanted}
        self._undo.append(lambda: _names_back(names, was))

    def keep_class(self, cls: type) -> None:
        """Note the attributes of a class."""
        if id(cls) not in self._kept:
            self._kept[id(cls)] = cls
            was = dict(vars(cls))
            self._undo.append(lambda: _class_back(cls, was))

    def keep_if_plain(self, value: Any) -> None:
        """Note a list, a mapping, ... that a library names; what else it names is its affair."""
        kind = type(value)
        if kind not in _CONTAINERS or len(value) > MAX_ITEMS or id(value) in self._plain:
            return
        if kind not in _HASHING or _have_plain_keys(value):
            self._plain[id(value)] = value
            self._undo.append(_container_undo(value))

    def restore(self) -> None:
        """Put everything back; what cannot be keeps nothing else from it."""
        for undo in reversed(self._undo):
            with contextlib.suppress(Exception):  # the next must have its turn
                undo()

    def _keep_changing(self, kind: type, value: Any, depth: int) -> None:
        if issubclass(kind, torch.Tensor):
            self._undo.append(_tensor_undo(value))
        elif kind is np.ndarray:
            self._undo.append(_array_undo(value))
        elif kind in _CONTAINERS:
            self._keep_container(kind, value, depth)
        else:
            own = _attributes(value)
            self._undo.append(_container_undo(own))
            self._found(kind)
            self._keep_all(own.values(), depth)

    def _keep_container(self, kind: type, value: Any, depth: int) -> None:
        if len(value) > MAX_ITEMS:
            raise _beyond("large container")
        if kind in _HASHING and not _have_plain_keys(value):
            raise _beyond("container with keys of its own kind")
        self._undo.append(_container_undo(value))
        self._keep_all(value.values() if kind in _MAPPINGS else value, depth)

    def _keep_all(self, values: Iterable[Any], depth: int) -> None:
        for item in list(values):
            self.keep(item, depth - 1)


def _is_fixed(kind: type) -> bool:
    """Whether values of a class never change."""
    if issubclass(kind, nn.Module):
        return False
    return issubclass(kind, _FIXED) or str(kind.__module__).startswith(_FIXED_HOMES)


def _beyond(what: str) -> CannotMeasure:
    return CannotMeasure(f"the forward or loss works with a {what} outside of the model")


def _is_tuple(kind: type) -> bool:
    return kind is tuple or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _have_plain_keys(value: Iterable[Any]) -> bool:
    """Whether hashing and comparing the keys runs nothing of the program's."""
    return all(_is_plain_key(key) for key in list(value))


def _is_plain_key(key: Any) -> bool:
    if type(key) is tuple:
        return all(map(_is_plain_key, key))
    return type(key) in _KEYS or type(type(key)) is enum.EnumMeta or type(key) is type


def _attributes(value: Any) -> dict[str, Any]:
    """The dictionary of an object that has its whole state there.

    Raises:
        CannotMeasure: some of it is elsewhere.
    """
    kind = type(value)
    if kind is types.SimpleNamespace or all(map(_is_plain_class, kind.__mro__[:-1])):
        found = object.__getattribute__(value, "__dict__") if kind.__dictoffset__ else None
        if type(found) is dict:
            return found
    raise _beyond(_name(kind))


def _is_plain_class(cls: type) -> bool:
    """Whether a class is written in Python and leaves its instances' attributes to their dict."""
    own = vars(cls)
    built = not cls.__flags__ & _HEAP or type(own.get("__new__")) is types.BuiltinFunctionType
    return not (built or own.get("__slots__") or "__getattribute__" in own)


_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a `class` statement made


def _tensor_undo(value: torch.Tensor) -> Undo:
    if type(value) not in {torch.Tensor, nn.Parameter} or value.layout is not torch.strided:
        raise _beyond(_name(type(value)))
    if value.requires_grad:
        raise _beyond("tensor that wants a gradient")
    if value.numel() > MAX_ELEMENTS or value.is_inference():
        raise _beyond("large tensor")
    was = value.clone()

    def undo() -> None:
        if not torch.equal(value, was):
            value.data.copy_(was)

    return undo


def _array_undo(value: "np.ndarray[Any, Any]") -> Undo:
    if value.dtype.hasobject or value.size > MAX_ELEMENTS:
        raise _beyond("large array, or one of objects,")
    was = value.copy()

    def undo() -> None:
        if value.tobytes() != was.tobytes():
            value[...] = was

    return undo


def _container_undo(value: Any) -> Undo:
    was = value.copy()
    back: Callable[[Any, Any], None] = _BACK.get(type(value), _mapping_back)

    def undo() -> None:
        pairs = zip(_items(value), _items(was), strict=False)
        if len(value) != len(was) or any(a is not b for a, b in pairs):
            back(value, was)

    return undo


def _items(value: Any) -> Iterator[Any]:
    """Items, or keys and values, of a copy: another thread may be writing."""
    own = value.copy()
    if isinstance(own, dict):
        yield from own
        yield from own.values()
    else:
        yield from own


def _mapping_back(value: dict[Any, Any], was: dict[Any, Any]) -> None:
    for key in [key for key in value if key not in was]:
        del value[key]
    for key, item in was.items():
        if value.get(key, NOTHING) is not item:
            value[key] = item
    if list(value) != list(was):
        for key in was:
            value[key] = value.pop(key)


def _set_back(value: set[Any], was: set[Any]) -> None:
    value.intersection_update(was)
    value.update(was)


def _sequence_back(value: Any, was: Any) -> None:
    value[:] = was


def _queue_back(value: deque[Any], was: deque[Any]) -> None:
    value.clear()
    value.extend(was)


_BACK: dict[type, Callable[[Any, Any], None]] = {
    list: _sequence_back,
    bytearray: _sequence_back,
    set: _set_back,
    deque: _queue_back,
}


def _names_back(names: dict[str, Any], was: dict[str, Any]) -> None:
    for name, value in was.items():
        if value is NOTHING:
            names.pop(name, None)
        elif names.get(name, NOTHING) is not value:
            names[name] = value


def _class_back(cls: type, was: dict[str, Any]) -> None:
    """The attributes of a class, set past its metaclass; Python's own names are left."""
    now = dict(vars(cls))
    for name in now.keys() - was.keys():
        if not name.startswith("__"):
            type.__delattr__(cls, name)
    for name, value in was.items():
        if now.get(name, NOTHING) is not value and not name.startswith("__"):
            type.__setattr__(cls, name, value)
