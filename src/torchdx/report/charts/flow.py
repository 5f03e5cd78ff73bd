"""Signal and gradient by depth: a line for each of a few steps."""

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
from torchdx.report.view import View
from torchdx.report.view.flow import Flow
from torchdx.report.view.signals import OF_LAYERS

NAMES = {
    "activation.std": "activation-flow",
    "output_gradient.rms": "output-gradient-flow",
    "gradient.norm": "gradient-flow",
    "update.ratio": "update-flow",
}
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
    color = {"field": "step", "sort": order, "scale": {"scheme": "viridis", "domain": order}}
    color |= {"legend": {"title": "step", "orient": "top"}}
    tooltip = told(("place", "layer"), ("step", "step"), ("said", about.title))
    x = {"field": "depth", "type": "quantitative", "title": "layer, from input to output"}
    x |= {"axis": {"tickMinStep": 1, "grid": False}, "scale": {"zero": False, "nice": False}}
    lines: Chart = {
        "mark": {"type": "line", "point": {"size": 26}},
        "encoding": {
            "x": x,
            "y": quantity("value", about.title, "log"),
            "color": color,
            "shape": {"field": "step", "sort": order, "legend": None},
            "tooltip": tooltip,
        },
    }
    chart: Chart = {"data": data, "width": FILL, "height": 170, "layer": [lines]}
    if flow["signal"] == "update.ratio":
        chart["layer"].insert(0, _rule_of_thumb())
    return Figure(NAMES[flow["signal"]], about.title, _says(flow, about.title), chart)


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
