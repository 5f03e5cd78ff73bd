"""Writes down the models of the program: what they hold, and what they only seem to hold."""

import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from torchdx.events.frames import variables_of
from torchdx.events.identity import ByIdentity
from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.names import Names

_MADE_INSIDE = 20  # modules made inside a forward that are told one by one


class Models:
    """Every top module, once, and again when what it holds has changed."""

    def __init__(self, recorder: Recorder, names: Names) -> None:
        self._recorder, self.names = recorder, names
        self._numbers = Numbers()
        self._seen: dict[int, int] = {}
        self._lines = ByIdentity[nn.Module, int | None]()
        self._repeats = ByIdentity[nn.Module, bool]()
        self._inside = Sparse(_MADE_INSIDE)
        self._made_inside = 0

    def label(self, parameter: Any) -> str:
        """A parameter's name, or what else can be said of a tensor that no module holds."""
        name = self.names.of(parameter)
        if name is not None:
            return name
        kind = "parameter" if isinstance(parameter, nn.Parameter) else "tensor"
        return f"({kind} {'x'.join(map(str, _shape(parameter))) or 'scalar'})"

    def parameter_given(self, owner: nn.Module, *, training: bool) -> None:
        """A module was given a parameter; `training`: there was a backward pass before."""
        if owner in self._lines:
            return
        line = self._lines[owner] = self._recorder.frames.here()
        if training and self._recorder.frames.inside_forward():
            self._made_inside += 1
            if self._inside.due(self._made_inside):
                self._recorder.event("made-in-forward", line=line, cls=type(owner).__name__)

    def child_given(self, parent: nn.Module, name: str, child: nn.Module) -> None:
        """A module was given a child."""
        repeated = any(other is child and n != name for n, other in parent._modules.items())
        if repeated or child not in self._lines:
            self._lines[child] = self._recorder.frames.here()
        if repeated:
            self._repeats[child] = self._recorder.frames.called_by_user()

    def see_owners(self, parameters: Iterable[Any]) -> None:
        """Write down the models to which these parameters belong."""
        owners = {id(owner): owner for owner in map(self.names.owner, parameters) if owner}
        for top in {id(t): t for t in map(self.names.top, owners.values())}.values():
            self.see(top)

    def see_all(self) -> None:
        """Write down every model that is alive, as it is now.

        One that holds nothing that torch knows of is found among the variables of the program.
        """
        known = [*self.names.known(), *_variables(self._recorder.frames.user_frames(1))]
        for top in {id(t): t for t in map(self.names.top, known)}.values():
            self.see(top)

    def see(self, top: nn.Module) -> None:
        """Write down one top module."""
        held = list(top.parameters())
        number = self._numbers.of(top)
        now = hash(tuple((id(p), p.requires_grad, is_lazy(p)) for p in held))
        if self._seen.get(number) == now:
            return
        self._seen[number] = now
        self.names.adopt(top)
        paths = {module: self.names.path(module) for module in top.modules()}
        own = {module: list(module.parameters(recurse=False)) for module in paths}
        self._recorder.emit(
            {
                "e": "model",
                "id": number,
                "cls": type(top).__name__,
                "line": self._lines.get(top),
                "params": [[self.label(p), _shape(p), bool(p.requires_grad)] for p in held],
                "modules": {path: type(module).__name__ for module, path in paths.items()},
                "own": {
                    paths[m]: [self.label(p) for p in given] for m, given in own.items() if given
                },
                "lines": {path: self._lines.get(module) for module, path in paths.items()},
                "user": [path for module, path in paths.items() if self._of_user(module)],
            }
        )
        self._tell_hidden(top)
        self._tell_repeated(top)

    def _of_user(self, module: nn.Module) -> bool:
        """Whether the module's class is written in the user's program."""
        source = getattr(sys.modules.get(type(module).__module__), "__file__", None)
        return source is None or self._recorder.frames.is_user(source)

    def _tell_hidden(self, top: nn.Module) -> None:
        for holder, attribute, inner in _hidden(top):
            parameters = [self.label(p) for module in inner for p in module.parameters()]
            line = next(
                (self._lines[m] for module in inner for m in module.modules() if m in self._lines),
                None,
            )
            self._recorder.event(
                "held-outside",
                line=line,
                holder=self.names.path(holder),
                cls=type(holder).__name__,
                attribute=attribute,
                form=type(vars(holder)[attribute]).__name__,
                params=parameters,
            )

    def _tell_repeated(self, top: nn.Module) -> None:
        for holder, child, names in _repeated(top):
            self._recorder.event(
                "same-object",
                line=self._lines.get(child),
                holder=type(holder).__name__,
                place=self.names.path(holder),
                names=names,
                cls=type(child).__name__,
                by_user=self._repeats.get(child, False),
                params=[self.label(p) for p in child.parameters()],
            )

    def made_at(self, parameter: Any) -> int | None:
        """The line that made the module which holds a parameter."""
        owner = self.names.owner(parameter)
        return None if owner is None else self._lines.get(owner)

    def lasting(self, parameter: Any) -> bool:
        """Whether a parameter belongs to a model that was written down."""
        owner = self.names.owner(parameter)
        return owner is not None and self._numbers.known(self.names.top(owner))


def _variables(frames: list[FrameType]) -> list[nn.Module]:
    """The modules among the variables of running functions."""
    values = (value for frame in frames for value in variables_of(frame).values())
    return [value for value in values if isinstance(value, nn.Module)]


def _shape(parameter: Any) -> list[int]:
    """Its sizes; none for a lazy layer's, which has none before the first forward."""
    return [] if is_lazy(parameter) else list(parameter.shape)


def _hidden(top: nn.Module) -> Iterator[tuple[nn.Module, str, list[nn.Module]]]:
    """Modules with parameters in a plain list or dict of a module: (holder, name, them)."""
    registered = {id(module) for module in top.modules()}
    for holder in top.modules():
        for name, value in vars(holder).items():
            if name.startswith("_") and name in vars(nn.Module()):
                continue
            items = value.values() if isinstance(value, dict) else value
            if not isinstance(value, list | tuple | dict):
                continue
            inner = [m for m in items if isinstance(m, nn.Module) and id(m) not in registered]
            inner = [m for m in inner if next(m.parameters(), None) is not None]
            if inner:
                yield holder, name, inner


def _repeated(top: nn.Module) -> Iterator[tuple[nn.Module, nn.Module, list[str]]]:
    """Modules with parameters that stand several times in one holder: (holder, it, its names)."""
    for holder in top.modules():
        places: dict[int, list[str]] = {}
        for name, child in holder._modules.items():
            if child is not None:
                places.setdefault(id(child), []).append(name)
        for names in places.values():
            child = holder._modules[names[0]]
            if len(names) > 1 and child is not None and next(child.parameters(), None) is not None:
                yield holder, child, names
