"""Follows state dicts: what they alias when they are loaded or saved, and how old they are.

`Module.state_dict` hands out the live tensors. A dict that is kept while training goes on changes
with it, and says at the end what the weights are, not what they were.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.names import Names

_DEPTH = 3  # how deep in dicts and lists a saved object is searched
DENSE = 500  # state dicts taken that are told one by one


class _Taken(NamedTuple):
    """A state dict that was handed out, or one of its tensors.

    steps      optimizer steps, of all optimizers together, done then; `backwards` likewise
    versions   how often its tensors had been written to
    """

    thing: "weakref.ref[Any]"
    steps: int
    backwards: int
    versions: int
    line: int | None


class Checkpoints:
    """Remembers when each state dict was taken, for as long as it lives.

    Its first and its last tensor are remembered with it, so that a shallow copy is known again.
    """

    def __init__(self, recorder: Recorder, names: Names, loop: Loop) -> None:
        self._recorder, self._names, self._loop = recorder, names, loop
        self._taken: dict[int, _Taken] = {}
        self._sparse, self._count = Sparse(DENSE), 0

    @property
    def _steps(self) -> int:
        return sum(self._loop.optimizer_steps.values())

    def taken(self, module: nn.Module, state: Any, line: int | None) -> None:
        """`module.state_dict()` returned `state`."""
        if not isinstance(state, Mapping):
            return
        tensors = _tensors(state)
        versions = _versions(tensors)
        for thing in (state, *tensors[:1], *tensors[1:][-1:]):
            self._remember(thing, versions, line)
        self._count += 1
        if self._sparse.due(self._count):
            path = self._names.path(self._names.unwrap(module))
            self._recorder.event("state-dict", line=line, model=path, at=self._loop.backwards)

    def _remember(self, thing: Any, versions: int, line: int | None) -> None:
        try:
            reference = weakref.ref(thing, self._forget(id(thing)))
        except TypeError:
            return
        backwards = self._loop.backwards
        self._taken[id(thing)] = _Taken(reference, self._steps, backwards, versions, line)

    def _forget(self, key: int) -> Callable[[Any], None]:
        taken = self._taken

        def gone(reference: Any) -> None:
            if key in taken and taken[key].thing is reference:
                del taken[key]

        return gone

    def loaded(self, module: nn.Module, state: Any, line: int | None) -> None:
        """`module.load_state_dict(state)` was called; seen before it copies anything."""
        if not isinstance(state, Mapping):
            return
        given = [t for t in _tensors(state) if t.numel()]
        own = _pointers(_own_tensors(module))
        aliased = sum(t.data_ptr() in own for t in given)
        source = None if aliased else self._source(given, module)
        self._recorder.event(
            "load-state-dict",
            line=line,
            model=self._names.path(self._names.unwrap(module)),
            tensors=len(given),
            aliased=aliased,
            other=None if source is None else self._names.path(source),
            at=self._loop.backwards,
            **self._age(state),
        )

    def saved(self, thing: Any, line: int | None) -> None:
        """`torch.save(thing)` was called."""
        for state in _states(thing, _DEPTH):
            age = self._age(state)
            if age["taken"] is None:
                continue
            given = [t for t in _tensors(state) if t.numel()]
            source = self._source(given, None) if age["changed"] else None
            path = None if source is None else self._names.path(source)
            self._recorder.event("save", line=line, other=path, at=self._loop.backwards, **age)

    def _age(self, state: Mapping[Any, Any]) -> dict[str, Any]:
        """When a dict was taken, when it is one that was handed out or a shallow copy of it.

        taken, taken_at   optimizer steps (of all optimizers) and backward passes done then
        since             optimizer steps since
        changed           whether its tensors were written to since
        """
        tensors = _tensors(state)
        for thing in (state, *tensors):
            found = self._taken.get(id(thing))
            if found is not None and found.thing() is thing:
                changed = _versions(tensors) != found.versions
                when = {"taken": found.steps, "taken_at": found.backwards, "taken_line": found.line}
                return {**when, "since": self._steps - found.steps, "changed": changed}
        return dict.fromkeys(("taken", "taken_at", "taken_line", "since", "changed"))

    def _source(self, given: list[torch.Tensor], target: nn.Module | None) -> nn.Module | None:
        """The live model, other than `target`, whose own tensors all of these are."""
        if not given:
            return None
        wanted = {t.data_ptr() for t in given}
        for module in self._names.known():
            if module is not target and self._names.parent(module) is None:
                own = _pointers(_own_tensors(module))
                if own and wanted <= own:
                    return self._names.unwrap(module)
        return None


_PLAIN = (torch.Tensor, nn.Parameter, nn.Buffer)


def _tensors(state: Mapping[Any, Any]) -> list[torch.Tensor]:
    """The ordinary tensors of a state dict: those of which it can be told where they lie."""
    return [value for value in state.values() if _ordinary(value)]


def _ordinary(value: Any) -> bool:
    return type(value) in _PLAIN and value.layout is torch.strided and not value.is_meta


def _versions(tensors: Iterable[torch.Tensor]) -> int:
    """How often tensors were written to; inference tensors do not count."""
    return sum(t._version for t in tensors if not t.is_inference())


def _own_tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _pointers(tensors: Iterable[torch.Tensor]) -> set[int]:
    return {t.data_ptr() for t in tensors if _ordinary(t) and t.numel()}


def _states(thing: Any, depth: int) -> Iterator[Mapping[Any, Any]]:
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
