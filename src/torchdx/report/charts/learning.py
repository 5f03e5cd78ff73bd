"""The course of a run: loss, validation, learning rate, and what happened when."""

from torchdx.report.charts.base import (
    FILL,
    Chart,
    Figure,
    columns,
    finite,
    positive,
    quantity,
    said,
    spans,
    steps,
    told,
)
from torchdx.report.charts.theme import ALARM
from torchdx.report.view import View
from torchdx.report.view.learning import Curve, Learning
from torchdx.report.view.numbers import NOT_FINITE

SMOOTHED = 60  # points from which on a line of running medians is drawn over the curve
_KINDS = ("finding", "mode", "validation", "epoch")


def learning(view: View) -> Figure | None:
    """Loss over steps with what happened below it; None where no loss was seen."""
    course = view["learning"]
    if not course["loss"]["steps"]:
        return None
    last = max([view["head"]["steps"], *course["loss"]["steps"]])
    moments = [moment["step"] for moment in course["moments"]]
    domain = [min([*course["loss"]["steps"], *moments]), last]
    panels = [_loss(course, domain)]
    panels += [_accuracy(course, domain)] if _judged(course) else []
    panels += [_rates(course, domain)] if course["rates"] else []
    panels += [_moments(course, domain)] if course["moments"] else []
    for panel in panels[:-1]:
        panel["encoding"]["x"]["axis"] = {"labels": False, "grid": False}
        panel["encoding"]["x"]["title"] = None
    chart: Chart = {"vconcat": panels, "spacing": 10}
    return Figure("learning", "Loss", _says(course), chart)


def _judged(course: Learning) -> bool:
    return any(v["accuracy"] is not None for v in course["validation"])


def _says(course: Learning) -> str:
    loss = course["loss"]
    text = f"The loss goes from {said(loss['values'][0])} to {said(loss['values'][-1])} "
    text += f"in {loss['steps'][-1]:,} steps"
    if lost := loss["values"].count(NOT_FINITE):
        text += f"; it is not finite at {lost} of the points drawn"
    right = [v["accuracy"] for v in course["validation"] if isinstance(v["accuracy"], float | int)]
    if right:
        text += f"; validation accuracy ends at {right[-1]:.1%}, its best is {max(right):.1%}"
    return text + "."


def _x(domain: list[int]) -> Chart:
    return steps(scale={"domain": domain, "nice": False})


def _loss(course: Learning, domain: list[int]) -> Chart:
    """The curve, its running median, where it is not finite, and what was found when."""
    loss = course["loss"]
    values = finite(loss["values"])
    scale = "log" if spans(values) else "linear"
    smooth = len(values) >= SMOOTHED
    thin = {"type": "line", "strokeWidth": 1, "opacity": 0.45} if smooth else {"type": "line"}
    hover = {"type": "point", "fields": ["step"], "nearest": True, "on": "pointerover"}
    hover |= {"clear": "pointerout"}
    layers: list[Chart] = [{"mark": thin}]
    if smooth:
        window = {"window": [{"op": "median", "field": "loss", "as": "middle"}], "frame": [-12, 12]}
        y = quantity("middle", "loss", scale)
        layers.append({"transform": [window], "mark": "line", "encoding": {"y": y}})
    shown = {"condition": {"param": "at", "value": 1, "empty": False}, "value": 0}
    layers.append(
        {
            "mark": {"type": "point", "filled": True, "size": 50},
            "params": [{"name": "at", "select": hover}],
            "encoding": {"opacity": shown, "tooltip": told(("step", "step"), ("loss", "loss"))},
        }
    )
    layers += _lost(loss) + _found(course)
    return {
        "data": columns(step=loss["steps"], loss=values),
        "width": FILL,
        "height": 200,
        "encoding": {"x": _x(domain), "y": quantity("loss", "loss", scale)},
        "layer": layers,
    }


def _lost(loss: Curve) -> list[Chart]:
    """Crosses at the top, where the loss is not finite."""
    at = [step for step, v in zip(loss["steps"], loss["values"], strict=True) if v == NOT_FINITE]
    if not at:
        return []
    mark = {"type": "point", "shape": "cross", "size": 40, "color": ALARM, "filled": True}
    encoding = {"y": {"value": 6}, "tooltip": told(("step", "step"), ("what", "loss"))}
    return [
        {
            "data": columns(step=at, what=["not finite"] * len(at)),
            "mark": mark,
            "encoding": encoding,
        }
    ]


def _found(course: Learning) -> list[Chart]:
    """A line where something was first told, with its code."""
    found = [m for m in course["moments"] if m["kind"] == "finding"]
    if not found:
        return []
    at = {
        step: [m["what"] for m in found if m["step"] == step] for step in {m["step"] for m in found}
    }
    data = columns(
        step=sorted(at),
        codes=[", ".join(w.split()[0] for w in at[step]) for step in sorted(at)],
        what=["; ".join(at[step]) for step in sorted(at)],
    )
    tooltip = told(("step", "step"), ("what", "found"))
    line = {"type": "rule", "color": ALARM, "strokeDash": [4, 3]}
    text = {"type": "text", "align": "left", "dx": 4, "dy": 2, "baseline": "top", "color": ALARM}
    plain: Chart = {"y": None, "tooltip": tooltip}
    return [
        {"data": data, "mark": line, "encoding": plain},
        {
            "data": data,
            "mark": text,
            "encoding": plain | {"y": {"value": 0}, "text": {"field": "codes"}},
        },
    ]


def _accuracy(course: Learning, domain: list[int]) -> Chart:
    judged = [v for v in course["validation"] if v["accuracy"] is not None]
    data = columns(
        step=[v["step"] for v in judged],
        accuracy=finite(v["accuracy"] for v in judged),
        rows=[v["rows"] for v in judged],
    )
    tooltip = told(("step", "step"), ("accuracy", "validation accuracy"), ("rows", "rows judged"))
    y = quantity("accuracy", "accuracy", axis={"format": "~p", "tickCount": 3})
    return {
        "data": data,
        "width": FILL,
        "height": 70,
        "mark": {"type": "line", "point": {"size": 28}},
        "encoding": {"x": _x(domain), "y": y, "tooltip": tooltip},
    }


def _rates(course: Learning, domain: list[int]) -> Chart:
    """Steps of the learning rate, held to the end of the run."""
    rows = [
        (name, step, value)
        for name, curve in course["rates"]
        for step, value in [
            *zip(curve["steps"], curve["values"], strict=True),
            (domain[1], curve["values"][-1]),
        ]
    ]
    values = [value for _, _, value in rows]
    several = len(course["rates"]) > 1
    scale = "log" if spans(values) and len(positive(values)) == len(values) else "linear"
    y = quantity("rate", "rate", scale)
    y["axis"] |= {"tickCount": 3}
    encoding: Chart = {"x": _x(domain), "y": y}
    encoding["tooltip"] = told(("step", "step"), ("rate", "learning rate"), ("of", "optimizer"))
    if several:
        of = {"field": "of", "type": "nominal", "title": None}
        encoding |= {"color": of, "strokeDash": of}
    return {
        "data": columns(
            of=[name for name, _, _ in rows], step=[s for _, s, _ in rows], rate=finite(values)
        ),
        "width": FILL,
        "height": 46,
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": encoding,
    }


def _moments(course: Learning, domain: list[int]) -> Chart:
    """A row of ticks for each kind of thing that happened."""
    moments = course["moments"]
    kinds = [kind for kind in _KINDS if any(m["kind"] == kind for m in moments)]
    data = columns(
        step=[m["step"] for m in moments],
        kind=[m["kind"] for m in moments],
        what=[m["what"] for m in moments],
    )
    y = {"field": "kind", "type": "nominal", "sort": kinds, "title": None, "axis": {"grid": False}}
    color = {"condition": {"test": "datum.kind === 'finding'", "value": ALARM}, "value": "#8b949e"}
    return {
        "data": data,
        "width": FILL,
        "height": 14 * len(kinds),
        "mark": {"type": "tick", "height": 9},
        "encoding": {
            "x": _x(domain),
            "y": y,
            "color": color,
            "tooltip": told(("step", "step"), ("what", "what")),
        },
    }
