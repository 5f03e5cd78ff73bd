"""Several runs in the same chart."""

from collections.abc import Callable, Iterable, Sequence

from torchdx.report.charts.base import (
    FILL,
    Chart,
    Figure,
    columns,
    finite,
    quantity,
    said,
    spans,
    steps,
    told,
)
from torchdx.report.charts.flow import depths
from torchdx.report.charts.theme import DASHES
from torchdx.report.view import View
from torchdx.report.view.numbers import Number

Points = Iterable[tuple[int, Number]]


def comparison(views: Sequence[View]) -> list[Figure]:
    """Loss, validation accuracy and the last flows of all runs, each in one chart."""
    found = [
        _over_steps("compare-loss", "loss", views, _losses),
        _over_steps("compare-accuracy", "validation accuracy", views, _accuracies),
        *(_by_depth(name, signal, views) for name, signal in _FLOWS.items()),
    ]
    return [figure for figure in found if figure is not None]


_FLOWS = {"gradient norm": "gradient.norm", "update / weight": "update.ratio"}


def names_of(views: Sequence[View]) -> list[str]:
    """A name for each run: its program's where these differ, else its record's, else numbered."""
    for part in ("title", "name"):
        names = [str(view["head"][part]) for view in views]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {name}" for number, name in enumerate(names, 1)]


def _losses(view: View) -> Points:
    loss = view["learning"]["loss"]
    return zip(loss["steps"], loss["values"], strict=True)


def _accuracies(view: View) -> Points:
    judged = view["learning"]["validation"]
    return ((v["step"], v["accuracy"]) for v in judged if v["accuracy"] is not None)


def _over_steps(
    name: str, title: str, views: Sequence[View], points: Callable[[View], Points]
) -> Figure | None:
    runs = names_of(views)
    rows = [
        (run, step, value)
        for run, view in zip(runs, views, strict=True)
        for step, value in points(view)
    ]
    if not rows:
        return None
    values = finite(value for *_, value in rows)
    data = columns(run=[r for r, *_ in rows], step=[s for _, s, _ in rows], value=values)
    y = quantity("value", title, "log" if spans(values) else "linear")
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 220,
        "mark": {"type": "line"},
        "encoding": _coloured(runs)
        | {
            "x": steps(),
            "y": y,
            "tooltip": told(("run", "run"), ("step", "step"), ("value", title)),
        },
    }
    ends = {run: value for run, _, value in rows}
    says = f"{title} at the end: " + ", ".join(f"{r} {said(v)}" for r, v in ends.items()) + "."
    return Figure(name, title, says, chart)


def _by_depth(title: str, signal: str, views: Sequence[View]) -> Figure | None:
    """The last of each run's lines by depth."""
    runs = names_of(views)
    rows = [
        (run, number, place, value)
        for run, view in zip(runs, views, strict=True)
        for flow in view["flow"]
        if flow["signal"] == signal
        for number, (place, value) in enumerate(
            zip(flow["places"], flow["values"][-1], strict=True), 1
        )
        if isinstance(value, int | float) and value > 0
    ]
    if not rows:
        return None
    data = columns(
        run=[run for run, *_ in rows],
        depth=[number for _, number, *_ in rows],
        place=[place for *_, place, _ in rows],
        value=[value for *_, value in rows],
    )
    x = depths(
        max((f["places"] for v in views for f in v["flow"] if f["signal"] == signal), key=len)
    )
    tooltip = told(("run", "run"), ("place", "layer"), ("value", title))
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 170,
        "mark": {"type": "line", "point": {"size": 26}},
        "encoding": _coloured(runs)
        | {"x": x, "y": quantity("value", title, "log"), "tooltip": tooltip},
    }
    says = f"{title} by depth at the last step that was measured, a line a run."
    return Figure("compare-" + signal.replace(".", "-"), title, says, chart)


def _coloured(runs: list[str]) -> Chart:
    run = {"field": "run", "type": "nominal", "sort": runs, "title": None}
    scale = {"domain": runs, "range": [list(dash) for dash in DASHES[: len(runs)]]}
    return {"color": run | {"scale": {"domain": runs}}, "strokeDash": run | {"scale": scale}}
