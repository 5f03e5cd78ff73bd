"""Ends a program after so many optimizer steps, from within the last of them."""

import os
from collections import Counter
from collections.abc import Callable

from torch.optim import Optimizer

from torchdx.treatments.site import Site

SWALLOWED = 3  # times that a program may catch the end before it is ended the hard way


class Enough(BaseException):
    """The arm has made its steps. No `except Exception` of a program catches it."""


class Stopping:
    """Raises `Enough` when the optimizer that steps most has made its steps.

    A bare `except:` in the program would go on; `at_last` is then called, and the process ended.

    made    steps; `raised`: how often the end was told
    """

    def __init__(self, site: Site, steps: int, at_last: Callable[[], None]) -> None:
        self._limit, self._at_last = steps, at_last
        self._steps: Counter[int] = Counter()
        self.raised = 0
        self.made = 0
        site.after_step(self._stepped)

    def _stepped(self, optimizer: Optimizer) -> None:
        self._steps[id(optimizer)] += 1
        self.made = max(self._steps.values())
        if not self._limit or self.made < self._limit:
            return
        self.raised += 1
        if self.raised > SWALLOWED:
            self._at_last()
            os._exit(0)
        raise Enough
