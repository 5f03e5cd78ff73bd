"""A signal of all layers over the steps, as a picture: a row a layer, a column a step."""

from typing import Any

from torchdx.report.charts.base import FILL, Chart, Figure, columns, positive, said, told
from torchdx.report.charts.theme import ALARM, RAMP
from torchdx.report.view import View
from torchdx.report.view.network import Picture
from torchdx.report.view.numbers import NOT_FINITE, Number

ROW = 20  # pixels


def depth_time(view: View, signal: str) -> Figure | None:
    """The picture of a signal; None where it was not measured."""
    pictures = view["network"]["pictures"]
    picture = next((p for p in pictures if p["signal"] == signal), None)
    if picture is None:
        return None
    return Figure("depth-time", picture["title"], _says(picture), chart_of(picture))


def chart_of(picture: Picture) -> Chart:
    """Cells without their rows' names, which stand beside them in a page."""
    rows = [
        (place, step, value)
        for place, values in zip(picture["places"], picture["values"], strict=True)
        for step, value in zip(picture["steps"], values, strict=True)
        if value is not None
    ]
    chart = frame_of(picture)
    chart["data"] = columns(
        place=[place for place, _, _ in rows],
        step=[step for _, step, _ in rows],
        value=[_drawn(value, picture["scale"]) for _, _, value in rows],
        said=[said(value) for _, _, value in rows],
    )
    return chart


def frame_of(picture: Picture) -> Chart:
    """The chart of a signal but for its cells."""
    axis = {"labelOverlap": "greedy", "labelSeparation": 6, "labelAngle": 0, "grid": False}
    domain = _domain(picture)
    scale: dict[str, Any] = {"scheme": RAMP, "domain": domain, "clamp": True}
    scale |= {"type": "log"} if picture["scale"] == "log" else {}
    legend = {"title": _title(picture), "orient": "top", "gradientLength": 220, "tickCount": 4}
    legend |= {"format": {"log": "~e", "share": "~p"}.get(picture["scale"], "~g")}
    y = {"field": "place", "type": "ordinal", "sort": picture["places"], "title": None}
    tooltip = told(("place", "layer"), ("step", "step"), ("said", picture["title"]))
    return {
        "width": FILL,
        "height": ROW * len(picture["places"]),
        "mark": {"type": "rect", "stroke": None},
        "encoding": {
            "x": {"field": "step", "type": "ordinal", "title": "step", "axis": axis},
            "y": y,
            "color": {
                "condition": {"test": "!isValid(datum.value)", "value": ALARM},
                "field": "value",
                "type": "quantitative",
                "scale": scale,
                "legend": legend,
            },
            "tooltip": tooltip,
        },
    }


def _title(picture: Picture) -> str:
    return picture["title"] + (f" ({picture['unit']})" if picture["unit"] else "")


def _drawn(value: Number, scale: str) -> Number:
    """What is drawn for a value: nothing has a logarithm where there is nothing."""
    if value == NOT_FINITE or value is None:
        return None
    return 1e-30 if scale == "log" and not value else value


def _domain(picture: Picture) -> list[float]:
    values = [v for row in picture["values"] for v in row if isinstance(v, int | float)]
    if picture["scale"] == "share":
        return [0, 1]
    if picture["scale"] == "log":
        values = positive(values) or [0.1, 1]
        low, high = min(values), max(values)
        return [low, high] if high > low else [low / 2, low * 2]
    low, high = min(values, default=0), max(values, default=1)
    return [low, high] if high > low else [low - 1, high + 1]


def _says(picture: Picture) -> str:
    last = {p: v[-1] for p, v in zip(picture["places"], picture["values"], strict=True)}
    numbers = {p: v for p, v in last.items() if isinstance(v, int | float)}
    text = f"{picture['title']} of {len(picture['places'])} layers"
    if not numbers:
        return text + "."
    low, high = min(numbers, key=lambda p: numbers[p]), max(numbers, key=lambda p: numbers[p])
    return (
        f"{text}; at step {picture['steps'][-1]:,} lowest in {low or 'the model'} "
        f"({said(numbers[low])}), highest in {high or 'the model'} ({said(numbers[high])})."
    )
