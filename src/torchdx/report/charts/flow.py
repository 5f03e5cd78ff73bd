"""Signal and gradient by depth: a line for each of a few steps."""

import json
from collections.abc import Sequence

from torchdx.report.charts.base import (
    FILL,
    Chart,
    Figure,
    columns,
    positive,
    quantity,
    said,
    told,
)
from torchdx.report.charts.theme import RAMP
from torchdx.report.view import View
from torchdx.report.view.flow import Flow
from torchdx.report.view.signals import OF_LAYERS

NAMES = {
    "activation.std": "activation-flow",
    "output_gradient.rms": "output-gradient-flow",
    "gradient.norm": "gradient-flow",
    "update.ratio": "update-flow",
}
MOST_NAMES = 14  # layers that are told by name below a chart
HEALTHY_UPDATE = 1e-3  # Karpathy's rule of thumb (CS231n notes), drawn as a line to compare with


def flows(view: View) -> list[Figure]:
    """One figure a signal."""
    return [_figure(flow) for flow in view["flow"]]


def _figure(flow: Flow) -> Figure:
    about = OF_LAYERS[flow["signal"]]
    rows = [
        (number, place, step, value)
        for step, values in zip(flow["steps"], flow["values"], strict=True)
        for number, (place, value) in enumerate(zip(flow["places"], values, strict=True), 1)
        if isinstance(value, int | float)
    ]
    good = positive(value for *_, value in rows)
    floor = min(good, default=1.0) / 10
    data = columns(
        depth=[number for number, *_ in rows],
        place=[place or "the model" for _, place, *_ in rows],
        step=[str(step) for *_, step, _ in rows],
        value=[max(value, floor) for *_, value in rows],
        said=[said(value) for *_, value in rows],
    )
    order = [str(step) for step in flow["steps"]]
    color: Chart = {"field": "step", "type": "ordinal", "sort": order}
    color |= {"scale": {"scheme": RAMP, "domain": order}}
    color |= {"legend": {"title": "step", "orient": "top"}}
    tooltip = told(("place", "layer"), ("step", "step"), ("said", about.title))
    x = depths([place or "the model" for place in flow["places"]])
    lines: Chart = {
        "mark": {"type": "line", "point": {"size": 26}},
        "encoding": {
            "x": x,
            "y": quantity("value", about.title, "log"),
            "color": color,
            "shape": {"field": "step", "type": "nominal", "sort": order, "legend": None},
            "tooltip": tooltip,
        },
    }
    chart: Chart = {"data": data, "width": FILL, "height": 170, "layer": [lines]}
    if flow["signal"] == "update.ratio":
        chart["layer"].insert(0, _rule_of_thumb())
    return Figure(NAMES[flow["signal"]], about.title, _says(flow, about.title), chart)


def depths(places: Sequence[str]) -> Chart:
    """The x of what is drawn by depth: names while there is room for them, else numbers."""
    numbers = list(range(1, len(places) + 1))
    axis: Chart = {"labelAngle": 0, "labelOverlap": "greedy", "grid": False}
    if len(places) <= MOST_NAMES:
        axis |= {"labelAngle": -35, "labelLimit": 90, "labelOverlap": False}
        axis |= {"labelExpr": f"{json.dumps(list(places))}[datum.value - 1]"}
    title = None if len(places) <= MOST_NAMES else "layer, from input to output"
    scale = {"domain": numbers}
    return {"field": "depth", "type": "ordinal", "title": title, "axis": axis, "scale": scale}


def _rule_of_thumb() -> Chart:
    return {
        "data": columns(value=[HEALTHY_UPDATE]),
        "mark": {"type": "rule", "strokeDash": [4, 4]},
        "encoding": {"y": {"field": "value", "type": "quantitative"}},
    }


def _says(flow: Flow, title: str) -> str:
    last = [v for v in flow["values"][-1] if isinstance(v, int | float)]
    text = f"{title} by depth at {len(flow['steps'])} steps"
    if len(last) > 1:
        first, end = said(last[0]), said(last[-1])
        text += f"; at step {flow['steps'][-1]:,} {first} in the first layer, {end} in the last"
    return text + "."
