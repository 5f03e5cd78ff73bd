"""Claims in short, for studies that declare many.

equal("gd-stays", "Gradient descent stays.", share, 0.0, 0.001, "share of the way")
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torchdx.lab.rows import Rows
from torchdx.lab.study import Claim, Direction


def _claim(  # noqa: PLR0913, PLR0917  # all that a verdict needs
    name: str,
    sentence: str,
    statistic: Callable[[Rows], float],
    target: float,
    delta: float,
    unit: str,
    *,
    direction: Direction,
    **more: Any,
) -> Claim:
    held = {"direction": direction, "target": target, "delta": delta, "unit": unit}
    return Claim(name=name, sentence=sentence, statistic=statistic, **held, **more)  # type: ignore[arg-type]


above = partial(_claim, direction="above")
below = partial(_claim, direction="below")
equal = partial(_claim, direction="equal")
