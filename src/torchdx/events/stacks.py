"""Has autograd note the line of every operation, by torch's anomaly mode, unseen by the program.

The program reads the mode as it has set it. As soon as it sets the mode itself, it is the program's
alone.
"""

from collections.abc import Callable
from typing import Any

import torch

from torchdx.events.patches import Patches


class Stacks:
    """Keeps stacks, or lets them be."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._on = self._check_nan = False

    def keep(self, *, on: bool) -> None:
        """Begin, unless the program has the mode on; or end what was begun."""
        if on and not self._on and not torch.is_anomaly_enabled():
            self._check_nan = torch.is_anomaly_check_nan_enabled()
            torch.set_anomaly_enabled(True, False)  # noqa: FBT003  # torch's own
            self._on = True
            self._hide()
        elif not on and self._let_go():
            torch.set_anomaly_enabled(False, self._check_nan)  # noqa: FBT003

    def _hide(self) -> None:
        self._patches.replace(torch, "is_anomaly_enabled", lambda _: lambda: False)
        self._patches.replace(
            torch, "is_anomaly_check_nan_enabled", lambda _: lambda: self._check_nan
        )
        self._patches.replace(torch, "set_anomaly_enabled", self._setting)

    def _setting(self, original: Callable[..., None]) -> Callable[..., None]:
        def set_by_program(*args: Any, **kwargs: Any) -> None:
            self._let_go()
            original(*args, **kwargs)

        return set_by_program

    def _let_go(self) -> bool:
        """Leave the mode to the program; returns whether it was ours."""
        was, self._on = self._on, False
        self._patches.undo()
        return was
