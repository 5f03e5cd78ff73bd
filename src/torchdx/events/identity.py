"""A dictionary of objects by identity that does not keep them alive.

Modules of the program may compare by their settings, or answer with a tensor when asked whether
they are equal.
"""

import weakref
from collections.abc import Iterator, MutableMapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(MutableMapping[K, V], Generic[K, V]):
    """What is known of each object, for as long as it lives."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], V]] = {}

    def __getitem__(self, key: K) -> V:
        reference, value = self._entries[id(key)]
        if reference() is not key:
            raise KeyError(key)
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """What is known of an object, or `default`."""
        found = self._entries.get(id(key))
        return default if found is None or found[0]() is not key else found[1]

    def __contains__(self, key: object) -> bool:
        found = self._entries.get(id(key))
        return found is not None and found[0]() is key

    def __setitem__(self, key: K, value: V) -> None:
        number, entries = id(key), self._entries
        found = entries.get(number)
        if found is not None and found[0]() is key:
            entries[number] = found[0], value
            return

        def gone(reference: Any) -> None:
            if number in entries and entries[number][0] is reference:
                del entries[number]

        entries[number] = weakref.ref(key, gone), value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        del self._entries[id(key)]

    def __iter__(self) -> Iterator[K]:
        living = [reference() for reference, _ in list(self._entries.values())]
        return iter([key for key in living if key is not None])

    def __len__(self) -> int:
        return len(self._entries)
