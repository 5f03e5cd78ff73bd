"""Random generators: torch's, numpy's and Python's own, and those that a data set holds."""

import random
import sys
import types
import zlib
from collections.abc import Iterator
from typing import Any

import torch

_DEPTH = 3  # data set, transform, its parts
_OBJECTS = 200  # looked at within a data set
_GLOBAL = ("torch", "numpy", "random")
_VALUES = (str, bytes, int, float, bool, type(None), torch.Tensor, torch.nn.Module)
_PLAIN = (*_VALUES, type, types.ModuleType, types.FunctionType)  # none of these is looked into

GLOBAL = tuple((name,) for name in _GLOBAL)  # places of the generators that all share

Place = tuple[Any, ...]  # attribute names and list positions, from the data set on


def places_of(data: Any) -> Iterator[Place]:
    """Where a data set holds generators of its own."""
    seen: set[int] = set()
    layer: list[tuple[Place, Any]] = [((), data)]
    for _ in range(_DEPTH + 1):
        below: list[tuple[Place, Any]] = []
        for place, thing in layer:
            if id(thing) in seen or len(seen) > _OBJECTS:
                continue
            seen.add(id(thing))
            if _state(thing) is not None:
                yield place
            else:
                below += [((*place, key), value) for key, value in _within(thing)]
        layer = below


def _within(thing: Any) -> Iterator[tuple[Any, Any]]:
    """What an object holds; what a list among it holds counts as its own."""
    own = None if isinstance(thing, _PLAIN) else getattr(thing, "__dict__", None)
    for name, value in list(own.items()) if isinstance(own, dict) else ():
        if isinstance(value, list | tuple) and len(value) <= _OBJECTS // 10:
            yield from (((name, index), item) for index, item in enumerate(value))
        elif not isinstance(value, _PLAIN):
            yield name, value


def _follow(data: Any, place: Place) -> Any:
    for step in place:
        name, index = step if isinstance(step, tuple) else (step, None)
        data = getattr(data, "__dict__", {}).get(name)
        data = data[index] if index is not None and data is not None else data
    return data


def states_of(data: Any, places: list[Place]) -> list[int]:
    """A number for each generator's state; zero where it is gone. Never raises."""
    found = []
    for place in places:
        try:
            thing = place[0] if place[0] in _GLOBAL else _follow(data, place[1:])
            raw = _state(thing)
        except Exception:  # noqa: BLE001  # the loader's process must not notice
            raw = None
        found.append(0 if raw is None else zlib.crc32(raw) + 1)
    return found


def _state(thing: Any) -> bytes | None:
    """The state of a generator, or of the global one of that name; None for anything else."""
    numpy = sys.modules.get("numpy")
    if isinstance(thing, str):
        return _global(thing, numpy)
    if isinstance(thing, torch.Generator):
        return bytes(thing.get_state().numpy())
    if isinstance(thing, random.Random):
        return repr(thing.getstate()).encode()
    if numpy is not None and isinstance(thing, numpy.random.RandomState):
        return _of_numpy(thing.get_state())
    if numpy is not None and isinstance(thing, numpy.random.Generator):
        return repr(thing.bit_generator.state).encode()
    return None


def _global(name: str, numpy: Any) -> bytes | None:
    if name == "torch":
        return bytes(torch.get_rng_state().numpy())
    if name == "random":
        return repr(random.getstate()).encode()
    if name == "numpy" and numpy is not None:
        return _of_numpy(numpy.random.get_state())
    return None


def _of_numpy(state: Any) -> bytes:
    return bytes(state[1].tobytes()) + repr(state[2:]).encode()


def name_of(place: Place) -> str:
    """A generator in words: `torch's`, or its attribute of the data set."""
    if place[0] in _GLOBAL:
        return {"torch": "torch's", "numpy": "numpy's", "random": "Python's"}[place[0]]
    steps = (f"{s[0]}[{s[1]}]" if isinstance(s, tuple) else s for s in place[1:])
    return ".".join(steps)
