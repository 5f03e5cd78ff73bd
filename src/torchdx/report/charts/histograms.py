"""Histograms: a column a layer, a row an octave, darker where there are fewer values."""

import json

from torchdx.record.histograms import unpacked
from torchdx.report.charts.base import FILL, Chart, Figure, columns, told
from torchdx.report.charts.flow import depths
from torchdx.report.charts.theme import RAMP
from torchdx.report.view import View
from torchdx.report.view.histograms import Histograms

NAMES = {"activation": "activation-histogram", "output_gradient": "gradient-histogram"}
HEIGHT = 200  # pixels
MARKED = 8  # values that are told beside the rows, at most


def histograms(view: View) -> list[Figure]:
    """By depth, at the last step that has them."""
    return [figure for known in view["histograms"] if (figure := _figure(known)) is not None]


def _figure(known: Histograms) -> Figure | None:
    last = len(known["steps"]) - 1
    cells = [
        (depth, place or "the model", number, share)
        for depth, (place, rows) in enumerate(zip(known["places"], known["values"], strict=True), 1)
        for number, share in enumerate(unpacked(rows[last] or []))
        if share
    ]
    if not cells:
        return None
    data = columns(
        depth=[depth for depth, *_ in cells],
        place=[place for _, place, *_ in cells],
        bin=[number for *_, number, _ in cells],
        about=[known["bins"][number] for *_, number, _ in cells],
        share=[share / 1000 for *_, share in cells],
        dense=[share / 1000 / known["octaves"][number] for *_, number, share in cells],
    )
    chart: Chart = frame_of(known)
    chart |= {"data": data, "width": FILL}
    chart["encoding"]["x"] = depths([place or "the model" for place in known["places"]])
    title = f"{known['title']} at step {known['steps'][last]:,}"
    says = f"Histograms of the {known['title']} of {len(known['places'])} layers at step "
    says += f"{known['steps'][last]:,}, an octave a row."
    return Figure(NAMES[known["signal"]], title[0].upper() + title[1:], says, chart)


def frame_of(known: Histograms) -> Chart:
    """The chart of histograms but for its cells and its x."""
    bins = _rows(known)
    every = max(1, -(-len(bins) // MARKED))
    zero = known["bins"].index("0") if "0" in known["bins"] else bins[0]
    marked = [b for i, b in enumerate(bins, -bins.index(zero)) if i % every == 0]
    axis: Chart = {"grid": False, "values": marked}
    axis |= {"labelExpr": f"{json.dumps(known['bins'])}[datum.value]", "labelOverlap": False}
    y = {"field": "bin", "type": "ordinal", "title": None, "axis": axis}
    y |= {"scale": {"domain": bins[::-1]}}
    scale = {"scheme": RAMP, "type": "sqrt", "domain": [0, 0.5], "clamp": True}
    legend = {"title": "share of an octave", "format": "~p", "tickCount": 3, "gradientLength": 120}
    color = {"field": "dense", "type": "quantitative", "scale": scale, "legend": legend}
    tooltip = told(("place", "layer"), ("about", "about"), ("share", "share of values"))
    encoding = {"y": y, "color": color, "tooltip": tooltip}
    return {"mark": "rect", "height": len(bins) * max(4, HEIGHT // len(bins)), "encoding": encoding}


def _rows(known: Histograms) -> list[int]:
    """The bins that are shown: of each sign from the smallest to the largest, and zero."""
    zero = known["bins"].index("0") if "0" in known["bins"] else None
    used = {
        number
        for rows in known["values"]
        for row in rows
        for number, share in enumerate(unpacked(row or []))
        if share
    }
    middle = len(known["bins"]) if zero is None else zero
    parts = [{n for n in used if n < middle}, {n for n in used if n > middle}]
    shown = {n for part in parts if part for n in range(min(part), max(part) + 1)}
    return sorted(shown | ({zero} if zero is not None else set()))
