"""Numbers objects in the order in which they are met, without keeping them alive."""

import weakref
from collections.abc import Callable
from typing import Any

_OTHERS = 1_000_000  # the number that all objects share which cannot be remembered weakly


class Numbers:
    """1, 2, ... for each object, by identity: tensors, say, do not compare as objects do."""

    def __init__(self) -> None:
        self._numbers: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._last = 0

    def of(self, thing: Any) -> int:
        """The number of an object; a new one gets the next."""
        found = self._numbers.get(id(thing))
        if found is not None and found[0]() is thing:
            return found[1]
        try:
            reference = weakref.ref(thing, self._forget(id(thing)))
        except TypeError:  # a list, say
            return _OTHERS
        self._last += 1
        self._numbers[id(thing)] = reference, self._last
        return self._last

    def known(self, thing: Any) -> bool:
        """Whether the object has a number."""
        found = self._numbers.get(id(thing))
        return found is not None and found[0]() is thing

    def _forget(self, key: int) -> Callable[[Any], None]:
        numbers = self._numbers

        def gone(reference: Any) -> None:
            if key in numbers and numbers[key][0] is reference:
                del numbers[key]

        return gone
