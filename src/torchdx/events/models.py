"""Writes down the models of the program: what they hold, and what they only seem to hold."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder
from torchdx.graph.names import Names


class Models:
    """Every top module, once, and again when what it holds has changed."""

    def __init__(self, recorder: Recorder, names: Names) -> None:
        self._recorder, self.names = recorder, names
        self._numbers = Numbers()
        self._seen: dict[int, tuple[int, int]] = {}

    def label(self, parameter: Any) -> str:
        """A parameter's name, or what else can be said of a tensor that no module holds."""
        name = self.names.of(parameter)
        if name is not None:
            return name
        kind = "parameter" if isinstance(parameter, nn.Parameter) else "tensor"
        return f"({kind} {'x'.join(map(str, parameter.shape)) or 'scalar'})"

    def see_owners(self, parameters: Iterable[Any]) -> None:
        """Write down the models to which these parameters belong."""
        owners = {id(owner): owner for owner in map(self.names.owner, parameters) if owner}
        for top in {id(t): t for t in map(self.names.top, owners.values())}.values():
            self.see(top)

    def see(self, top: nn.Module) -> None:
        """Write down one top module."""
        held = list(top.parameters())
        trainable = sum(p.requires_grad for p in held)
        number = self._numbers.of(top)
        if self._seen.get(number) == (len(held), trainable):
            return
        self._seen[number] = (len(held), trainable)
        self.names.adopt(top)
        self._recorder.emit(
            {
                "e": "model",
                "id": number,
                "cls": type(top).__name__,
                "params": [[self.label(p), list(p.shape), bool(p.requires_grad)] for p in held],
                "modules": {self.names.path(m): type(m).__name__ for m in top.modules()},
            }
        )
        for holder, attribute, inner in _hidden(top):
            parameters = [self.label(p) for module in inner for p in module.parameters()]
            self._recorder.event(
                "held-outside",
                holder=self.names.path(holder),
                cls=type(holder).__name__,
                attribute=attribute,
                form=type(vars(holder)[attribute]).__name__,
                params=parameters,
            )

    def lasting(self, parameter: Any) -> bool:
        """Whether a parameter belongs to a model that was written down."""
        owner = self.names.owner(parameter)
        return owner is not None and self._numbers.known(self.names.top(owner))


def _hidden(top: nn.Module) -> Iterator[tuple[nn.Module, str, list[nn.Module]]]:
    """Modules with parameters that stand in a plain list or dict of a module: (holder, name, them)."""
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
