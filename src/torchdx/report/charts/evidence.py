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
    )
    low, high = min(0.5, *times) / 1.5, max(2.0, *times) * 1.5
    x = {
        "field": "times",
        "type": "quantitative",
        "title": "times what it was held against",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {"format": "~g", "tickCount": 4},
    }
    y: Chart = {"field": "what", "type": "nominal", "sort": whats, "title": None}
    y |= {"axis": {"labelLimit": 320, "grid": False}}
    tooltip = told(("what", "what"), ("value", "measured"), ("against", "held against"))
    one: Chart = {"field": "one", "type": "quantitative"}
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 22 * len(rows),
        "encoding": {"y": y, "x": x, "tooltip": tooltip},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": one, "y": None}},
            {
                "mark": {"type": "bar", "height": 4, "opacity": 0.5},
                "encoding": {"x2": {"field": "one"}},
            },
            {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1}},
        ],
    }
    says = "; ".join(f"{e['what']}: {e['value']} against {e['against']}" for e in rows)
    return Figure("evidence", "Evidence", says + ".", chart)
