"""Lines by group, the panel that most figures of studies are made of."""

from torchdx.report.charts.base import Chart, told


def figure_lines(  # noqa: PLR0913  # what a panel is
    data: Chart, by: str, x: Chart, y: Chart, *, width: int = 210, height: int = 190
) -> Chart:
    """A line a group, told by colour, its legend below."""
    field: Chart = {"field": by, "type": "nominal", "title": None, "sort": None}
    legend = {"orient": "bottom", "columns": 1, "labelLimit": 240}
    return {
        "data": data,
        "width": width,
        "height": height,
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {
            "x": x,
            "y": y,
            "color": field | {"legend": legend},
            "tooltip": told((by, by), *((axis["field"], axis["field"]) for axis in (x, y))),
        },
    }
