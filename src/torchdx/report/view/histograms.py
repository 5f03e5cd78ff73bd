"""How the values of layers are spread, over layers and steps."""

import math
from typing import TypedDict

from torchdx.record.histograms import EDGES, NOT_FINITE, ZERO, packed
from torchdx.record.model import Record
from torchdx.report.view.numbers import evenly

MOST_STEPS = 12
MOST_LAYERS = 200
TITLES = {"activation": "outputs", "output_gradient": "gradient of outputs"}


class Histograms(TypedDict):
    """Shares in permille: `values[i][k]` is the histogram of `places[i]` at `steps[k]`.

    bins    what the bins of a histogram are called, lowest first, by the magnitude in their middle
    octaves how wide each bin is, in powers of two; 1 for zero and what is beyond all powers
    values  a list of shares, runs of empty bins as negative numbers; None where not measured
    """

    signal: str
    title: str
    steps: list[int]
    places: list[str]
    bins: list[str]
    octaves: list[float]
    values: list[list[list[int] | None]]


def histograms_of(record: Record, order: list[str]) -> list[Histograms]:
    """Those of outputs and of the gradients that come back, layers in the order given."""
    found = (_histograms(record, signal, order) for signal in TITLES)
    return [histograms for histograms in found if histograms is not None]


def _histograms(record: Record, signal: str, order: list[str]) -> Histograms | None:
    by_place = record.histograms.get(signal, {})
    place = {path: i for i, path in enumerate(order)}
    places = sorted(by_place, key=lambda path: (place.get(path, len(place)), path))[:MOST_LAYERS]
    steps = sorted({step for path in places for step, _ in by_place[path]})
    if not steps:
        return None
    steps = [steps[i] for i in evenly(len(steps), MOST_STEPS)]
    known = {path: dict(by_place[path]) for path in places}
    rows = [known[path].get(step) for path in places for step in steps]
    used = [i for row in rows if row is not None for i, share in enumerate(row) if share]
    low, high = min(used), max(used) + 1
    cut = [None if row is None else packed(row[low:high]) for row in rows]
    width = len(steps)
    return Histograms(
        signal=signal,
        title=TITLES[signal],
        steps=steps,
        places=places,
        bins=[_called(number) for number in range(low, high)],
        octaves=[_octaves(number) for number in range(low, high)],
        values=[cut[i : i + width] for i in range(0, len(cut), width)],
    )


def _octaves(number: int) -> float:
    """The width of a bin; the outermost are as good as one wide."""
    if number == ZERO or number in NOT_FINITE:
        return 1.0
    low, high = sorted((abs(EDGES[number - 1]), abs(EDGES[number])))
    return round(min(1.0, math.log2(high / low)), 4)


def _called(number: int) -> str:
    """A bin by the magnitude in its middle: `-0.001`, `0`, `1000`."""
    if number == ZERO:
        return "0"
    if number in NOT_FINITE:
        return "not finite"
    middle = (abs(EDGES[number - 1]) * abs(EDGES[number])) ** 0.5
    return f"{'-' if number < ZERO else ''}{middle:.1g}"
