"""How far what was measured lies from what it was held against."""

from torchdx.report.charts.base import FILL, Chart, Figure, columns, told
from torchdx.report.view.verdict import Told


def evidence(finding: Told) -> Figure | None:
    """A row for each number with a limit; None where there is none."""
    rows = [e for e in finding["evidence"] if e["times"] is not None]
    if not rows:
        return None
    times = [e["times"] or 1.0 for e in rows]
    whats = [e["what"] for e in rows]
    data = columns(
        what=whats,
        times=times,
        one=[1] * len(rows),
        value=[str(e["value"]) for e in rows],
        against=[str(e["against"]) for e in rows],
        label=[_times(t) for t in times],
    )
    low, high = min(0.5, *times) / 1.5, max(2.0, *times) * 2.5
    x = {
        "field": "times",
        "type": "quantitative",
        "title": "times what it was held against",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"format": "~g", "tickCount": 4},
    }
    y = {"field": "what", "type": "nominal", "sort": whats, "title": None}
    y |= {"axis": {"labelLimit": 320, "grid": False}}
    tooltip = told(("what", "what"), ("value", "measured"), ("against", "held against"))
    text = {"type": "text", "align": "left", "dx": 9}
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": {"step": 26},
        "encoding": {"y": y, "x": x, "tooltip": tooltip},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": {"field": "one"} | {"type": "quantitative"}, "y": None}},
            {"mark": {"type": "bar", "height": 4, "opacity": 0.5}, "encoding": {"x2": {"field": "one"}}},
            {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1}},
            {"mark": text, "encoding": {"text": {"field": "label"}}},
        ],
    }  # fmt: skip
    says = "; ".join(f"{e['what']}: {e['value']} against {e['against']}" for e in rows)
    return Figure("evidence", "Evidence", says + ".", chart)


def _times(times: float) -> str:
    return f"× {times:.3g}"
