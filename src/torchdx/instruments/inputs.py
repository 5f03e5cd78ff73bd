"""Tells what the inputs of models look like: ranges, scales, constant columns, repeats.

One `inputs` event a table of `instruments/batches.py`, whenever it has doubled:

role, model, set    `learned` or `judged`; which model; which graph or set
rows, distinct      rows seen, and different ones among them (up to 20,000)
shape, dtype        of one row, as given
mean, std, min, max of all elements
scales              of the columns' standard deviations: least, lower quartile, median, upper
                    quartile, greatest
offsets             the same of |mean| / deviation of all elements
constant            share of columns that never change
power               greatest mean square of a column over the median one
nonfinite           rows with a NaN or an infinity
whole               share of elements that are whole numbers
torn, modulo        what wrapping modulo 256 leaves: see `instruments/lattices.py`
repeats             share of batches that had come before, row by row the same
following           share of steps sampled after the first whose batch was that of the one before;
                    `different`: how many different batches came
labels              `labelled`: rows with labels; `conflicts`: share of the rows that came again
                    with another label than at first, None where none came again
"""

import itertools
from typing import Any

import torch

from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.instruments import lattices
from torchdx.instruments.batches import Batches, Table
from torchdx.instruments.tensors import unseen

_GROWN = 1.5  # a table is told again when it has grown by this factor
_QUARTILES = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)


class Inputs(Quiet):
    """Describes each table once it has rows."""

    def __init__(self, recorder: Recorder, batches: Batches) -> None:
        self._recorder, self._batches = recorder, batches
        self._told: dict[int, int] = {}
        self._wrapped: dict[int, dict[str, Any]] = {}

    def flush(self) -> None:
        """Write down the tables that have grown."""
        for table in [*self._batches.learned_tables(), *self._batches.judged_tables()]:
            if table.rows < _GROWN * self._told.get(id(table), 0) or not table.sums:
                continue
            self._told[id(table)] = table.rows
            with unseen():
                facts = _facts(table) | self._lattice(table)
                self._recorder.event("inputs", line=table.line or 0, **facts)

    def _lattice(self, table: Table) -> dict[str, Any]:
        """What wrapping has left, found once there are rows enough."""
        if id(table) in self._wrapped:
            return self._wrapped[id(table)]
        rows = table.matrix()[: lattices.ROWS]
        found = {"torn": lattices.torn(rows), "modulo": lattices.modulo(rows)}
        if len(rows) == lattices.ROWS:
            self._wrapped[id(table)] = found
        return found


def _facts(table: Table) -> dict[str, Any]:
    mean = table.sums["sum"] / table.rows
    power = table.sums["squares"] / table.rows
    deviation = (power - mean**2).clamp_min(0).sqrt()
    overall = float((power.mean() - mean.mean() ** 2).clamp_min(0).sqrt())
    rows = table.matrix()
    known = [digest for _, digest in table.batches]
    return {
        "role": table.role,
        "model": table.path,
        "set": table.number,
        "loss": table.kind,
        "rows": table.rows,
        "distinct": len(table.digests),
        "shape": list(table.shape),
        "dtype": table.dtype,
        "mean": float(mean.mean()),
        "std": overall,
        "min": float(table.sums["low"].min()),
        "max": float(table.sums["high"].max()),
        "columns": len(mean),
        "scales": _five(deviation),
        "offsets": _five(mean.abs() / overall) if overall else None,
        "constant": float((table.sums["low"] == table.sums["high"]).double().mean()),
        "power": float(power.max() / power.median()) if float(power.median()) else None,
        "nonfinite": table.nonfinite,
        "whole": float((rows == rows.round()).float().mean()),
        "batches": len(known),
        "repeats": 1 - len(set(known)) / len(known),
        "following": _following(table.batches),
        "different": len(set(known)),
        "conflicts": table.conflicts / table.again if table.again else None,
        "labelled": 0 if table.answers() is None else table.kept,
    }


def _following(batches: list[tuple[int, int]]) -> float | None:
    """How often a step took the batch of the sampled step before it; None for a single step."""
    pairs = list(itertools.pairwise(batches))
    steps = [old == new for (before, old), (after, new) in pairs if after > before]
    return sum(steps) / len(steps) if steps else None


def _five(values: torch.Tensor) -> list[float]:
    return [float(f"{v:.5g}") for v in torch.quantile(values.double(), _QUARTILES).tolist()]
