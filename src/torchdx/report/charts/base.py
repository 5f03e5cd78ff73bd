"""Charts as data: Vega-Lite specifications, made here and drawn by Vega in the page.

A chart's data stand in it by column (`{"columns": {"step": [...], ...}}`), which is a third of the
size of Vega's rows; `expanded` makes rows of them, as the page does for itself. A width of `FILL`
is the width that there is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torchdx.report.view.numbers import NOT_FINITE, Number

Chart = dict[str, Any]

FILL = "fill"


@dataclass(frozen=True)
class Figure:
    """A chart with its words.

    name   by which it is asked for; `title` over it
    says   what it shows of this run, in a sentence: the text of who cannot see it
    """

    name: str
    title: str
    says: str
    chart: Chart


def columns(**values: Iterable[Any]) -> Chart:
    """The data of a chart, by column."""
    return {"columns": {name: list(column) for name, column in values.items()}}


def expanded(part: Any, width: int) -> Any:
    """A chart as Vega-Lite wants it: data by row, and the width in pixels."""
    if isinstance(part, list):
        return [expanded(inner, width) for inner in part]
    if not isinstance(part, dict):
        return part
    if "columns" in part and isinstance(part["columns"], dict):
        by_column = part["columns"]
        rows = zip(*by_column.values(), strict=True)
        return {"values": [dict(zip(by_column, row, strict=True)) for row in rows]}
    return {k: width if k == "width" and v == FILL else expanded(v, width) for k, v in part.items()}


def quantity(field: str, title: str | None, scale: str = "linear", **more: Any) -> Chart:
    """An encoding of a number; `share` is drawn from 0 to 1."""
    kind: Chart = {"type": "log"} if scale == "log" else {"zero": False}
    if scale == "share":
        kind = {"domain": [0, 1]}
    axis = {"format": "~p" if scale == "share" else ".6~g", "tickCount": 5}
    axis |= {"format": "~e"} if scale == "log" else {}
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": kind,
        "axis": axis,
    } | more


def steps(title: str | None = "step", **more: Any) -> Chart:
    """The x of what is drawn over optimizer steps."""
    axis = {"format": "~s", "tickMinStep": 1, "grid": False}
    scale = {"nice": False, "zero": False}
    return {
        "field": "step",
        "type": "quantitative",
        "title": title,
        "axis": axis,
        "scale": scale,
    } | more


def told(*fields: tuple[str, str]) -> list[Chart]:
    """What stands in the box beside the pointer: (field, title) each."""
    return [{"field": field, "title": title} for field, title in fields]


def positive(values: Iterable[Number]) -> list[float]:
    """Those that a logarithm can show."""
    return [v for v in values if isinstance(v, int | float) and v > 0]


def spans(values: Iterable[Number], *, times: float = 20.0) -> bool:
    """Whether values cover so much that they are drawn on a logarithmic scale."""
    numbers = [v for v in values if isinstance(v, int | float)]
    good = positive(numbers)
    return len(good) == len(numbers) > 1 and max(good) > times * min(good)


def finite(values: Iterable[Number]) -> list[Number]:
    """Values with a gap where one is not finite."""
    return [None if v == NOT_FINITE else v for v in values]


def said(value: Number) -> str:
    """A number in a sentence: three digits, up to a million without an exponent."""
    if value is None:
        return "not measured"
    if isinstance(value, str):
        return value
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if 1_000 <= abs(rounded) < 1e6 else f"{rounded:.3g}"  # noqa: PLR2004
