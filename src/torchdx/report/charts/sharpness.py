"""Step size against curvature over the run: above the line a step along the sharpest way grows."""

from torchdx.report.charts.base import (
    FILL,
    Chart,
    Figure,
    columns,
    quantity,
    said,
    spans,
    steps,
    told,
)
from torchdx.report.view import View
from torchdx.report.view.curvature import Sharpness

LIMIT = 1.0  # of the ratio, by its definition


def sharpness(view: View) -> Figure | None:
    """The ratio with its bounds; None where curvature was not measured."""
    known = [s for s in view["curvature"] if _drawn(s)]
    if not known:
        return None
    several = len({s["model"] for s in known}) > 1
    data = columns(
        step=[s["step"] for s in known],
        model=[s["model"] or "the model" for s in known],
        ratio=[s["ratio"] for s in known],
        low=[s["low"] for s in known],
        high=[s["high"] for s in known],
        curvature=[said(s["curvature"]) for s in known],
        lowest=[said(s["lowest"]) for s in known],
        lr=[said(s["lr"]) for s in known],
    )
    drawn = [value for s in known for value in (s["ratio"], s["low"], s["high"])]
    wide = spans([LIMIT, *drawn])
    y = quantity("ratio", "step size x curvature / limit", "log" if wide else "linear")
    y["axis"]["format"] = "~g"
    if not wide:
        y["scale"] = {"zero": True}
    encoding: Chart = {
        "x": steps(),
        "y": y,
        "tooltip": told(
            *(("step", "step"), ("ratio", "of the limit"), ("curvature", "curvature")),
            *(("lowest", "lowest curvature met"), ("lr", "learning rate")),
        ),
    }
    if several:
        encoding["color"] = {"field": "model", "type": "nominal", "title": None}
    line = {"type": "rule", "strokeDash": [4, 4]}
    limit = {"field": "limit", "type": "quantitative"}
    bounds = {"y": y | {"field": "low"}, "y2": {"field": "high"}}
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 170,
        "encoding": encoding,
        "layer": [
            {"mark": {"type": "line", "point": {"size": 40}}},
            {"mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.4}, "encoding": bounds},
            {"data": columns(limit=[LIMIT]), "mark": line, "encoding": {"y": limit, "x": None}},
        ],
    }
    last = known[-1]
    says = f"At step {last['step']:,} the step size times the largest curvature is "
    says += f"{said(last['ratio'])} of what the optimizer's steps bear on a quadratic; beyond 1 "
    says += "they grow, unless the loss flattens under them."
    return Figure("sharpness", "Step size against curvature", says, chart)


def _drawn(known: Sharpness) -> bool:
    """Whether all that is drawn are positive numbers."""
    values = (known["ratio"], known["low"], known["high"])
    return all(isinstance(value, int | float) and value > 0 for value in values)
