"""What the batches hold, and the gradient that the first of them gives the outputs."""

from torchdx.report.charts.base import FILL, Chart, Figure, columns, finite, quantity, said, told
from torchdx.report.view import View


def labels(view: View) -> Figure | None:
    """Shares of the classes among the labels."""
    known = view["data"]["labels"]
    if known is None:
        return None
    shares = known["shares"]
    classes = [str(number) for number in range(len(shares))]
    fair = 1 / len(shares)
    bars: Chart = {"mark": {"type": "bar", "cornerRadiusEnd": 2}}
    line: Chart = {
        "data": columns(fair=[fair]),
        "mark": {"type": "rule", "strokeDash": [4, 4]},
        "encoding": {"y": {"field": "fair", "type": "quantitative"}, "x": None},
    }
    x: Chart = {"field": "label", "type": "ordinal", "sort": classes, "title": "class"}
    x |= {"axis": {"labelAngle": 0, "labelOverlap": True}}
    y = quantity("share", "share of labels", axis={"format": "~p", "tickCount": 4})
    y["scale"] = {"zero": True}
    chart: Chart = {
        "data": columns(label=classes, share=finite(shares)),
        "width": FILL,
        "height": 140,
        "encoding": {"x": x, "y": y, "tooltip": told(("label", "class"), ("share", "share"))},
        "layer": [bars, line],
    }
    numbers = [v for v in shares if isinstance(v, int | float)]
    says = f"{len(shares)} classes among {known['rows']:,} labels; the commonest has a share of "
    says += f"{max(numbers):.1%}, the rarest {min(numbers):.1%}."
    return Figure("labels", "Labels", says, chart)


def output_gradients(view: View) -> Figure | None:
    """The first batch's gradients by the outputs: rows of the batch by outputs of the net."""
    known = view["data"]["outputs"]
    if known is None:
        return None
    cells = [
        (i, k, value)
        for i, row in enumerate(known["rows"])
        for k, value in enumerate(row)
        if isinstance(value, int | float)
    ]
    largest = max((abs(value) for *_, value in cells), default=0) or 1.0
    data = columns(
        row=[str(i) for i, *_ in cells],
        output=[str(k) for _, k, _ in cells],
        value=[value for *_, value in cells],
        sign=["+" if value > 0 else "−" if value < 0 else "0" for *_, value in cells],
    )
    axis = {"labels": True, "labelAngle": 0, "labelOverlap": True, "grid": False}
    color = {
        "field": "value",
        "type": "quantitative",
        "scale": {"scheme": "purpleorange", "domain": [-largest, largest]},
        "legend": {"title": "loss per output", "format": "~g", "tickCount": 3},
    }
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 14 * len(known["rows"]),
        "encoding": {
            "x": {"field": "output", "type": "ordinal", "sort": None, "axis": axis},
            "y": {"field": "row", "type": "ordinal", "sort": None, "axis": axis, "title": "row"},
            "tooltip": told(("row", "row"), ("output", "output"), ("value", "gradient")),
        },
        "layer": [
            {"mark": "rect", "encoding": {"color": color}},
            {
                "mark": {"type": "text", "fontSize": 9, "opacity": 0.6},
                "encoding": {"text": {"field": "sign"}},
            },
        ],
    }
    says = (
        f"Gradient of the loss by the outputs, for {len(known['rows'])} rows of the first batch; "
    )
    says += f"the largest is {said(largest)}. Plus: the loss falls when the output does."
    return Figure("output-gradients", "Gradient by output", says, chart)
