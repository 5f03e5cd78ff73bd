"""Numbers objects in the order in which they are met, without keeping them alive."""

import weakref
from typing import Any


_OTHERS = 1_000_000  # the number that all objects share which cannot be remembered weakly


class Numbers:
    """1, 2, ... for each object, by identity."""

    def __init__(self) -> None:
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._last = 0

    def of(self, thing: Any) -> int:
        """The number of an object; a new one gets the next."""
        try:
            found = self._numbers.get(thing)
        except TypeError:  # no weak reference or no hash: a list, say
            return _OTHERS
        if found is None:
            self._last += 1
            found = self._numbers[thing] = self._last
        return found

    def known(self, thing: Any) -> bool:
        """Whether the object has a number."""
        return thing in self._numbers
