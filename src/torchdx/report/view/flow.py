"""Signal and gradient by depth, at a few steps from the first to the last."""

from typing import TypedDict

from torchdx.record.model import Record
from torchdx.report.view.network import DIGITS, layers_of
from torchdx.report.view.numbers import Number, evenly, short

SNAPSHOTS = 4
SHOWN = ("activation.std", "output_gradient.rms", "gradient.norm", "update.ratio")


class Flow(TypedDict):
    """A signal by depth: `values[k][i]` is that of `places[i]` at `steps[k]`."""

    signal: str
    places: list[str]
    steps: list[int]
    values: list[list[Number]]


def forward_order(record: Record, made: list[str]) -> list[str]:
    """Modules in the order in which they first answered, where that was seen; `made` for the rest.

    A layer that never answered by itself stands behind the one that was made before it.
    """
    answered = [place for place in record.signals.get("activation.std", {}) if place in set(made)]
    order = list(answered)
    for number, path in enumerate(made):
        if path not in order:
            before = next((p for p in reversed(made[:number]) if p in order), None)
            order.insert(0 if before is None else order.index(before) + 1, path)
    return order


def flow_of(record: Record, order: list[str]) -> list[Flow]:
    """The signals of `SHOWN`, layers in the order given."""
    place = {path: i for i, path in enumerate(order)}
    flows = []
    for signal in SHOWN:
        layers = layers_of(record, signal)
        places = sorted(layers, key=lambda path: (place.get(path, len(place)), path))
        steps = sorted({step for series in layers.values() for step, _ in series})
        if len(places) < 2 or not steps:  # noqa: PLR2004  # there is a way from one to another
            continue
        chosen = [steps[i] for i in evenly(len(steps), SNAPSHOTS)]
        known = {path: dict(series) for path, series in layers.items()}
        values = [[short(known[p].get(step), DIGITS) for p in places] for step in chosen]
        flows.append(Flow(signal=signal, places=places, steps=chosen, values=values))
    return flows
