"""Replaces attributes of torch for as long as a run is watched, and puts them back."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_ABSENT = object()


class Patches:
    """A stack of replaced attributes and of hooks to remove."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Set `owner.name` to `make(original)`; an attribute that is only inherited is shadowed."""
        own = vars(owner).get(name, _ABSENT)
        replacement = make(getattr(owner, name))
        setattr(owner, name, replacement)
        self._undo.append(lambda: _put_back(owner, name, own, replacement))

    def describe(self, owner: type, name: str, descriptor: object) -> None:
        """Give a class an attribute that it does not have; skipped when it has one."""
        if hasattr(owner, name):
            return
        setattr(owner, name, descriptor)
        self._undo.append(lambda: _put_back(owner, name, _ABSENT, descriptor))

    def hook(self, handle: Any) -> None:
        """Keep a handle whose `remove()` ends a hook."""
        self._undo.append(handle.remove)

    def undo(self) -> None:
        """Put everything back, last first. What others replaced in the meantime stays theirs."""
        while self._undo:
            self._undo.pop()()


def _put_back(owner: Any, name: str, own: Any, replacement: Any) -> None:
    if vars(owner).get(name) is not replacement:
        return
    if own is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, own)


class Knob:
    """A class attribute that notices when an instance is given a value under its name.

    Nothing in torch reads such a value; it is kept in the instance's `__dict__`, as without.
    """

    def __init__(
        self,
        name: str,
        noticed: Callable[[object, str, object], None],
        read: Callable[[object, str], None] = lambda *_: None,
    ) -> None:
        self.name = name
        self.noticed = noticed
        self.read = read

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        try:
            value = vars(instance)[self.name]
        except (KeyError, TypeError):
            raise AttributeError(self.name) from None
        self.read(instance, self.name)
        return value

    def __set__(self, instance: object, value: object) -> None:
        vars(instance)[self.name] = value
        self.noticed(instance, self.name, value)

    def __delete__(self, instance: object) -> None:
        try:
            del vars(instance)[self.name]
        except KeyError:
            raise AttributeError(self.name) from None
