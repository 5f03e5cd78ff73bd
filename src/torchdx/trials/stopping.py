"""Ends a program after so many optimizer steps, from within the last of them."""

import os
from collections.abc import Callable

from torch.optim import Optimizer

from torchdx.events.identity import ByIdentity
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
        self._steps = ByIdentity[Optimizer, int]()
        self.raised = 0
        self.made = 0
        site.after_step(self._stepped)

    def _stepped(self, optimizer: Optimizer) -> None:
        steps = self._steps[optimizer] = self._steps.get(optimizer, 0) + 1
        self.made = max(self.made, steps)
        if not self._limit or steps < self._limit:
            return
        self.raised += 1
        if self.raised > SWALLOWED:
            self._at_last()
            os._exit(0)
        raise Enough
