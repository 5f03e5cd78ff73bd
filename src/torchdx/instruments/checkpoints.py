"""Follows state dicts: what they alias when they are loaded or saved, and how old they are.

`Module.state_dict` hands out the live tensors. A dict that is kept while training goes on changes
with it, and says at the end what the weights are, not what they were.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from torchdx.events.recorder import Recorder
from torchdx.graph.names import Names

_DEPTH = 3  # how deep in dicts and lists a saved object is searched


class Checkpoints:
    """Remembers when each state dict was taken, for as long as it lives."""

    def __init__(self, recorder: Recorder, names: Names) -> None:
        self._recorder = recorder
        self._names = names
        self._taken: dict[int, tuple[weakref.ref[Any], int, int | None]] = {}
        self._last_taken: dict[int, int] = {}

    def taken(self, module: nn.Module, state: Any, line: int | None) -> None:
        """`module.state_dict()` returned `state`."""
        try:
            reference = weakref.ref(state, lambda _, key=id(state): self._taken.pop(key, None))
        except TypeError:
            return
        step = self._recorder.steps
        self._taken[id(state)] = (reference, step, line)
        self._last_taken[id(module)] = step
        self._recorder.event("state-dict", line=line, model=self._names.path(module))

    def loaded(self, module: nn.Module, state: Any, line: int | None) -> None:
        """`module.load_state_dict(state)` was called; seen before it copies anything."""
        if not isinstance(state, Mapping):
            return
        own, step = _pointers(_own_tensors(module)), self._recorder.steps
        given = [t for t in state.values() if isinstance(t, torch.Tensor) and t.numel()]
        aliased = sum(t.data_ptr() in own for t in given)
        taken, taken_line = self._age(state)
        source = None if aliased else self._source(given, module)
        if taken is None and (aliased or source is not None):
            fresh = self._last_taken.get(id(module if aliased else source)) == step
            taken = step if fresh else None
        self._recorder.event(
            "load-state-dict",
            line=line,
            model=self._names.path(module),
            tensors=len(given),
            aliased=aliased,
            taken=taken,
            taken_line=taken_line,
            other=None if source is None else self._names.path(source),
        )

    def saved(self, thing: Any, line: int | None) -> None:
        """`torch.save(thing)` was called."""
        for state in _states(thing, _DEPTH):
            taken, taken_line = self._age(state)
            if taken is not None:
                step = self._recorder.steps
                facts = {"taken": taken, "taken_line": taken_line, "old": step > taken}
                self._recorder.event("save", line=line, **facts)

    def _age(self, state: Any) -> tuple[int | None, int | None]:
        """At which step a dict was taken, and on which line, when it is one that was handed out."""
        found = self._taken.get(id(state))
        if found is None or found[0]() is not state:
            return None, None
        return found[1], found[2]

    def _source(self, given: list[torch.Tensor], target: nn.Module) -> nn.Module | None:
        """The live model, other than `target`, whose own tensors all of these are."""
        if not given:
            return None
        wanted = {t.data_ptr() for t in given}
        for module in self._names.known():
            if module is not target and self._names.parent(module) is None:
                own = _pointers(_own_tensors(module))
                if own and wanted <= own:
                    return module
        return None


def _own_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _pointers(tensors: Iterable[torch.Tensor]) -> set[int]:
    return {t.data_ptr() for t in tensors if t.numel()}


def _states(thing: Any, depth: int) -> Iterator[Any]:
    """Mappings of tensors inside a saved object."""
    if depth == 0:
        return
    if isinstance(thing, Mapping):
        yield thing
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        for item in thing[:100]:
            if isinstance(item, Mapping | list | tuple):
                yield from _states(item, depth - 1)
