"""Prints how signals go through recorded nets: the study behind the limits of A02 to A07 and A13.

    python faults/scoreboard.py --records DIR
    python benchmarks/limits/architecture.py DIR [--by dead|slope|alike|gain|ratio|forward|...]

One line a run, those nearest to the sick side first. Of each quantity the worst layer counts. Under
`slope` and `left` stands the longest row of saturating layers.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

from torchdx.errors import RecordError
from torchdx.graph.model import LossGraph
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.rules.architecture.collapsed_representation import APART, layers_of
from torchdx.rules.architecture.dead_units import judged, lately
from torchdx.rules.architecture.exploding_depth import growth_of
from torchdx.rules.architecture.harm import first_over_guess, waited
from torchdx.rules.architecture.stages import NORMS, chain, main_graph, rectified, stages
from torchdx.rules.architecture.vanishing_gradient import rows_of, slope_of
from torchdx.rules.architecture.weights_too_large import saturated
from torchdx.rules.architecture.weights_too_small import faded_in

FALLING = frozenset({"slope", "left", "ratio", "product", "spread"})  # small values are sick
COLUMNS = (
    *("dead", "zeros", "slope", "left", "alike", "gain", "sized", "full", "ratio", "product"),
    *("forward", "backward", "spread", "worse", "waited"),
)


def measured(record: Record) -> dict[str, float]:
    """The quantities of one run, of its commonest loss graph."""
    graph = main_graph(record)
    if graph is None:
        return {}
    way = chain(graph)
    faded, grown = faded_in(record, way), growth_of(record, way)
    row = max(rows_of(way, least=1), key=len, default=[])
    slope = slope_of(record, row) if row else None
    found = {
        **_dead(record),
        "slope": slope and slope.slope,
        "left": slope and slope.left,
        **_weights(record, graph),
        "ratio": faded and faded.ratio,
        "product": faded and faded.product,
        "forward": grown and grown.forward,
        "backward": grown and grown.backward,
        "spread": min(_spreads(record, graph), default=None),
        "worse": first_over_guess(record, graph.key),
        "waited": waited(record, graph.key),
    }
    return {name: v for name, v in found.items() if v is not None and not math.isnan(v)}


def _dead(record: Record) -> dict[str, float]:
    """The layer in front of a ReLU with the most dead units, and its zero gradients."""
    worst: dict[str, float] = {}
    for graph in record.graphs.values():
        for layer in rectified(graph):
            dead = record.series("unit.dead", layer.place)
            zeros = record.series("output_gradient.zeros", layer.place)
            if judged(record, layer, graph.key, dead) and zeros:
                here = {"dead": lately(dead), "zeros": lately(zeros)}
                worst = max(worst, here, key=lambda w: w.get("dead", -1.0))
    return worst


def _weights(record: Record, graph: LossGraph) -> dict[str, float]:
    worst: dict[str, float] = {}
    for stage in stages(graph).values():
        alike = record.series("weight.alike", stage.layer.weight)
        here = {"alike": alike[-1][1] if alike and stage.feeds else None}
        if not stage.through & NORMS:
            here["gain"] = stage.gain(record)
            here["sized"] = stage.begun(record, "activation.std")
            here["full"] = saturated(record, stage)
        for name, value in here.items():
            worst[name] = max(worst.get(name, 0.0), value or 0.0)
    return worst


def _spreads(record: Record, graph: LossGraph) -> Iterator[float]:
    """How much rows differ behind inner layers, where they differ plainly before them."""
    layers = layers_of(record, graph)
    outputs = {index for index, stage in stages(graph).items() if not stage.feeds}
    for index, layer in layers.items():
        under = (layers.get(n.index) for n in graph.below(layer.node) if n.index != index)
        before = max((min(at.early, at.late) for at in under if at is not None), default=0.0)
        if index not in outputs and before >= APART:
            yield max(layer.early, layer.late)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--by", default="dead", choices=COLUMNS)
    asked = parser.parse_args()
    rows = []
    for path in sorted(asked.records.glob("*/*.dx")):
        try:
            rows.append((path, measured(read(path))))
        except RecordError as error:
            print(f"left out: {error}")
    rows = [row for row in rows if asked.by in row[1]]
    rows.sort(key=lambda row: row[1][asked.by], reverse=asked.by not in FALLING)
    print(f"{'run':42}" + "".join(f"{column:>10}" for column in COLUMNS))
    for path, values in rows:
        cells = (f"{values[c]:10.3g}" if c in values else f"{'':10}" for c in COLUMNS)
        print(f"{path.parent.name + '/' + path.stem:42}" + "".join(cells))


if __name__ == "__main__":
    main()
