"""Where the time of a step goes: bars that stand for wholes."""

from torchdx.report.charts.base import FILL, Chart, Figure, columns, told
from torchdx.report.view import View
from torchdx.report.view.time import Split

_WORK, _WAIT, _IDLE = "#0072b2", "#d55e00", "#8b949e"
_COLOURS = {
    "computing": _WORK,
    "data": _WAIT,
    "other": _IDLE,
    "on a core": _WORK,
    "waiting for a core": "#e69f00",
    "blocked": _IDLE,
}


def time_splits(view: View) -> Figure | None:
    """One bar a whole, its parts named in it."""
    splits = view["time"]
    if not splits:
        return None
    rows = [row for split in splits for row in _rows(split)]
    wholes = [split["title"] for split in splits]
    parts = list(dict.fromkeys(name for _, name, *_ in rows))
    data = columns(
        whole=[whole for whole, *_ in rows],
        part=[name for _, name, *_ in rows],
        share=[share for *_, share, _ in rows],
        said=[text for *_, text in rows],
        order=[parts.index(name) for _, name, *_ in rows],
    )
    y: Chart = {"field": "whole", "type": "nominal", "sort": wholes, "title": None}
    y |= {"axis": {"grid": False, "labelLimit": 200}}
    x: Chart = {"field": "share", "type": "quantitative", "title": None, "stack": "zero"}
    x |= {"axis": {"format": "~p", "grid": False, "tickCount": 5}, "scale": {"domain": [0, 1]}}
    tooltip = told(("whole", "of"), ("part", "part"), ("said", "takes"))
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 34 * len(wholes),
        "encoding": {"x": x, "y": y, "order": {"field": "order"}, "tooltip": tooltip},
        "layer": [
            {
                "mark": {"type": "bar", "height": 20, "stroke": "white", "strokeWidth": 1},
                "encoding": {"color": _colour(parts)},
            },
            {
                "transform": [{"filter": "datum.share > 0.14"}],
                "mark": {"type": "text", "fontSize": 10, "color": "white", "fontWeight": 600},
                "encoding": {"text": {"field": "said"}, "x": x | {"bandPosition": 0.5}},
            },
        ],
    }
    return Figure("time", "Time of a step", _says(splits), chart)


def _colour(parts: list[str]) -> Chart:
    scale = {"domain": parts, "range": [_COLOURS[part] for part in parts]}
    return {"field": "part", "type": "nominal", "sort": parts, "scale": scale, "title": None}


def _rows(split: Split) -> list[tuple[str, str, float, str]]:
    sizes = [(name, size) for name, size in split["parts"] if isinstance(size, int | float)]
    whole = sum(size for _, size in sizes) or 1.0
    title, unit = split["title"], split["unit"]
    return [
        (
            title,
            name,
            size / whole,
            f"{size / whole:.0%}" if unit == "share" else f"{size:.3g} {unit}",
        )
        for name, size in sizes
    ]


def _says(splits: list[Split]) -> str:
    said = []
    for split in splits:
        rows = _rows(split)
        said.append(
            f"{split['title']}: " + ", ".join(f"{name} {text}" for _, name, _, text in rows)
        )
    return "; ".join(said) + "."
