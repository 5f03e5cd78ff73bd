"""Names modules and parameters as the user's program does: by the path from their top module."""

import weakref
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from torchdx.events.identity import ByIdentity

# How wrappers hold the module that the user made.
_WRAPPERS = {
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "FullyShardedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}


class _Place(NamedTuple):
    parent: "weakref.ref[nn.Module]"
    name: str


def _holds(place: _Place, module: nn.Module) -> bool:
    holder = place.parent()
    if holder is None or place.name not in holder._modules:  # TorchScript's have no `get`
        return False
    return holder._modules[place.name] is module


class Names:
    """Follows who holds whom, from torch's registration hooks.

    Copies made by `copy.deepcopy` register nothing, so that a module which is met at work is
    adopted with all that it holds.
    """

    def __init__(self) -> None:
        self._places = ByIdentity[nn.Module, _Place]()
        self._homes = ByIdentity[nn.Module, _Place]()
        self._known = ByIdentity[nn.Module, None]()
        self._prefixes = ByIdentity[nn.Module, str]()
        self._taken: dict[str, int] = {}
        self._labels: dict[int, tuple[weakref.ref[Any], str, weakref.ref[nn.Module]]] = {}
        self._given: dict[str, int] = {}
        self._stale = False
        self.version = 0  # rises whenever a module or a parameter is met

    def registered(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        """A module was given a child."""
        if child is not None:
            if (before := self._place(child)) is not None:
                self._homes[child] = before
            self._places[child] = _Place(weakref.ref(parent), name)
            self._known[child] = None
        self._known[parent] = None
        self._changed()

    def parameter_registered(self, owner: nn.Module) -> None:
        """A module was given a parameter."""
        self._known[owner] = None
        self._changed()

    def adopt(self, root: nn.Module) -> None:
        """Take in a module that was met at work, and all that it holds."""
        if all(module in self._known for module in root.modules()):
            return
        for module in root.modules():
            self._known[module] = None
            for name, child in module._modules.items():
                if child is not None and child not in self._places:
                    self._places[child] = _Place(weakref.ref(module), name)
        self._changed()

    def _changed(self) -> None:
        self._stale = True
        self.version += 1

    def parent(self, module: nn.Module) -> nn.Module | None:
        """Who holds a module now."""
        place = self._place(module)
        return None if place is None else place.parent()

    def _place(self, module: nn.Module) -> _Place | None:
        """Where a module is held now.

        `layers[:-1]` makes a ModuleList that nothing holds; where the layers were before counts.
        """
        known = (self._places.get(module), self._homes.get(module))
        holding = [p for p in known if p is not None and _holds(p, module)]
        firm = (p for p in holding if not self._loose(p))
        return next(firm, holding[0] if holding else None)

    def _loose(self, place: _Place) -> bool:
        holder = place.parent()
        return isinstance(holder, nn.ModuleList) and self._place(holder) is None

    def top(self, module: nn.Module) -> nn.Module:
        """The outermost module that holds it; wrappers such as DistributedDataParallel left out."""
        while (holder := self.parent(module)) is not None:
            if type(holder).__name__ in _WRAPPERS:
                break
            module = holder
        return module

    def path(self, module: nn.Module) -> str:
        """Its name: the path from its top module, behind that module's prefix."""
        top, parts = self.top(module), []
        current = module
        while current is not top and (place := self._place(current)) is not None:
            holder = place.parent()
            if holder is None:
                break
            parts.append(place.name)
            current = holder
        return ".".join([part for part in [self.prefix(top)] if part] + parts[::-1])

    def prefix(self, top: nn.Module) -> str:
        """What sets a top module's names apart: empty for the first, then its class (`Net#2`)."""
        if top not in self._prefixes:
            name = "" if not self._taken else type(top).__name__
            count = self._taken[name] = self._taken.get(name, 0) + 1
            self._prefixes[top] = f"{name}#{count}" if count > 1 else name
        return self._prefixes[top]

    def unwrap(self, module: nn.Module) -> nn.Module:
        """The user's module inside a wrapper."""
        while (name := _WRAPPERS.get(type(module).__name__)) is not None:
            inner = getattr(module, name, None)
            if not isinstance(inner, nn.Module):
                break
            module = inner
        return module

    def of(self, parameter: Any) -> str | None:
        """A parameter's name, None when no known module holds it."""
        found = self._labels.get(id(parameter))
        if found is not None and found[0]() is parameter:
            return found[1]
        if not self._stale:
            return None
        self._index()
        found = self._labels.get(id(parameter))
        return found[1] if found is not None and found[0]() is parameter else None

    def owner(self, parameter: Any) -> nn.Module | None:
        """The module that registered a parameter."""
        if self.of(parameter) is None:
            return None
        return self._labels[id(parameter)][2]()

    def known(self) -> Iterator[nn.Module]:
        """Every live module that was met."""
        yield from list(self._known)

    def _index(self) -> None:
        self._stale = False
        for module in list(self._known):
            for name, parameter in module._parameters.items():
                if parameter is None:
                    continue
                found = self._labels.get(id(parameter))
                if found is not None and found[0]() is parameter:
                    continue
                path = self.path(module)
                label = self._unique(f"{path}.{name}" if path else name)
                self._labels[id(parameter)] = (weakref.ref(parameter), label, weakref.ref(module))

    def _unique(self, label: str) -> str:
        """A layer that took another's place has parameters of its own: `head.weight#2`."""
        count = self._given[label] = self._given.get(label, 0) + 1
        return label if count == 1 else f"{label}#{count}"
