"""Numbers that have gone through too small a type: what wrapping modulo 256 leaves in rows.

Values that were whole numbers lie on equal steps however they are shifted and scaled afterwards.

torn      share of the varied columns whose steps, 200 to 256 of them, fall into two groups with
          more than half of the range empty between them: small numbers and small negative ones
modulo    None, or for rows whose elements share one range of steps: `factor`, `plain`, `smooth`.
          Neighbouring elements of a row differ by steps d; the mean of cos(2 pi m d / 256) is
          greatest at m = 1 (`plain`) for any picture or signal, and falls with m. Multiplied by an
          odd number modulo 256 it is greatest (`smooth`) at that number's inverse (`factor`)
"""

import math
from typing import Any

import torch

WRAP = 256  # values of the type that wraps
ROWS = 200  # rows that are looked at
_LEAST = 200  # steps of a range that could be one of 256
_OFF = 0.05  # of a step: rounding of float32
_EMPTY = 0.5  # of the range, between the groups
_GROUP = 3  # different values in each
_SHARE = 0.02  # of the rows in each
_PAIRS = 1_000  # unequal neighbours below which nothing is said


def torn(rows: torch.Tensor) -> float:
    """The share of varied columns in two far groups; rows (n, columns)."""
    ordered = rows[:ROWS].double().sort(0).values
    apart = ordered.diff(dim=0)
    varied = (apart > 0).any(0)
    if not len(apart) or not bool(varied.any()):
        return 0.0
    ordered, apart = ordered[:, varied], apart[:, varied]
    step = apart.masked_fill(apart <= 0, math.inf).amin(0)
    steps = (ordered - ordered[0]) / step
    regular = (steps - steps.round()).abs().amax(0) <= _OFF
    regular &= (steps[-1] >= _LEAST) & (steps[-1] < WRAP)
    widest, where = (apart / step).max(0)
    below = torch.arange(len(apart))[:, None] < where
    kinds = torch.minimum(((apart > 0) & below).sum(0), ((apart > 0) & ~below).sum(0) - 1) + 1
    fewest = torch.minimum(where + 1, len(ordered) - 1 - where)
    both = (kinds >= _GROUP) & (fewest >= _SHARE * len(ordered))
    return float((regular & both & (widest > _EMPTY * steps[-1])).double().mean())


def modulo(rows: torch.Tensor) -> dict[str, Any] | None:
    """Whether neighbouring elements are nearest each other modulo 256, after some factor."""
    if rows.shape[1] < 2:  # noqa: PLR2004  # no neighbours
        return None
    steps = _steps(rows[:ROWS].double())
    if steps is None:
        return None
    apart = steps.diff(dim=1)
    counts = torch.bincount(apart.flatten().remainder(WRAP), minlength=WRAP).double()
    counts[0] = 0
    if counts.sum() < _PAIRS:
        return None
    turns = 2 * math.pi / WRAP * torch.arange(WRAP, dtype=torch.float64)
    factors = torch.arange(1, WRAP // 2, dtype=torch.float64)
    smooth = (torch.cos(factors[:, None] * turns) @ counts) / counts.sum()
    best = int(smooth.argmax())
    return {"factor": best + 1, "smooth": float(smooth[best]), "plain": float(smooth[0])}


def _steps(rows: torch.Tensor) -> torch.Tensor | None:
    """All elements as numbers of equal steps, None where they are not 200 to 256 of these."""
    levels = torch.unique(rows)
    if not 2 <= len(levels) <= WRAP:  # noqa: PLR2004  # a constant has no steps
        return None
    steps = (rows - levels[0]) / levels.diff().amin()
    whole: torch.Tensor = steps.round()
    if float((steps - whole).abs().max()) > _OFF or not _LEAST <= float(whole.max()) < WRAP:
        return None
    return whole.long()
