"""The loss along the optimizer's update and along the sharpest direction, against the parabola."""

from collections.abc import Iterator

from torchdx.report.charts.base import FILL, Chart, Figure, columns, finite, quantity, said, told
from torchdx.report.charts.spectrum import about
from torchdx.report.view import View
from torchdx.report.view.curvature import Line, Slice
from torchdx.report.view.numbers import NOT_FINITE, Number

BEYOND = 0.5  # of the measured losses' range, that the parabola is drawn beyond them
MEASURED, PARABOLA = "measured", "parabola of the Hessian"
TITLES = {"update": "Loss along the next step", "sharpest": "Loss along the sharpest direction"}
AXES = {"update": "multiples of the step", "sharpest": "distance from the weights"}


def slices(view: View) -> Iterator[Figure]:
    """A figure a line, of the last slice; the first where more were made is told in words."""
    if not view["slices"]:
        return
    last = view["slices"][-1]
    for line in last["lines"]:
        figure = _figure(last, line)
        if figure is not None:
            yield figure


def _figure(of: Slice, line: Line) -> Figure | None:
    losses = finite(line["losses"])
    known = [v for v in losses if isinstance(v, int | float)]
    if not known:
        return None
    unit = 1.0 if line["name"] == "update" else line["length"]
    at = [_times(place, unit) for place in line["places"]]
    told_as = [said(v) for v in [*line["losses"], *line["parabola"]]]
    data = columns(
        at=[*at, *at],
        loss=[*losses, *_near(line["parabola"], known)],
        what=[MEASURED] * len(at) + [PARABOLA] * len(at),
        said=told_as,
    )
    x = quantity("at", AXES[line["name"]])
    x["axis"]["grid"], x["scale"]["nice"] = False, False
    what: Chart = {"field": "what", "type": "nominal", "title": None}
    dashes = {"domain": [MEASURED, PARABOLA], "range": [[1, 0], [5, 3]]}
    encoding: Chart = {
        "x": x,
        "y": quantity("loss", "loss"),
        "color": what | {"scale": {"domain": [MEASURED, PARABOLA]}},
        "tooltip": told(("at", "at"), ("what", "what"), ("said", "loss")),
    }
    point = {"type": "point", "filled": True, "size": 26}
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 200,
        "layer": [
            *_marks(line["name"]),
            {
                "mark": {"type": "line"},
                "encoding": encoding | {"strokeDash": what | {"scale": dashes}},
            },
            {
                "transform": [{"filter": f"datum.what == '{MEASURED}'"}],
                "mark": point,
                "encoding": encoding,
            },
        ],
    }
    name = line["name"]
    return Figure(f"slice-{name}", TITLES[name], _says(of, line), chart)


def _times(place: Number, unit: Number) -> float | None:
    if isinstance(place, int | float) and isinstance(unit, int | float):
        return float(f"{place * unit:.4g}")
    return None


def _near(parabola: list[Number], known: list[float]) -> list[float | None]:
    """The parabola, where it is not far off the losses that were measured."""
    low, high = min(known), max(known)
    reach = BEYOND * ((high - low) or abs(high) or 1.0)
    inside = (isinstance(v, int | float) and low - reach <= v <= high + reach for v in parabola)
    pairs = zip(parabola, inside, strict=True)
    return [float(v) if is_in and isinstance(v, int | float) else None for v, is_in in pairs]


def _marks(name: str) -> list[Chart]:
    """Where the weights are, and where the step would lead."""
    at, words = ([0, 1], ["here", "after the step"]) if name == "update" else ([0], ["here"])
    moments: Chart = {"x": {"field": "at", "type": "quantitative"}}
    data = columns(at=at, word=words)
    text = {"type": "text", "align": "left", "baseline": "top", "dx": 4, "fontSize": 11}
    return [
        {"data": data, "mark": {"type": "rule", "opacity": 0.6}, "encoding": moments},
        {
            "data": data,
            "mark": text,
            "encoding": moments | {"y": {"value": 0}, "text": {"field": "word"}},
        },
    ]


def _says(of: Slice, line: Line) -> str:
    if line["name"] == "update":
        text = _step(of, line)
    else:
        text = f"At step {of['step']:,}, {said(line['length'])} to either side, the loss lies "
        text += f"between {_least(line['losses'])} and {_most(line['losses'])}"
    if lost := line["losses"].count(NOT_FINITE):
        text += f"; it is not finite at {lost} place{'s' * (lost > 1)}"
    return f"{text}. {about(of['rows'], training=of['training'])}"


def _step(of: Slice, line: Line) -> str:
    """What the next step does to this batch's loss, and what the parabola promised."""
    after = line["places"].index(1)
    text = f"The step after number {of['step']:,} takes this batch's loss from "
    text += f"{said(of['value'])} to {said(line['losses'][after])}; curvature at the weights "
    text += f"promises {said(line['parabola'][after])}"
    if of["max_norm"] is not None:
        text += f" (its gradient clipped to {said(of['max_norm'])})"
    return text


def _least(values: list[Number]) -> str:
    return said(min(v for v in values if isinstance(v, int | float)))


def _most(values: list[Number]) -> str:
    return said(max(v for v in values if isinstance(v, int | float)))
