"""How charts look, on light and on dark paper.

Colours are those of Okabe and Ito (2008), told apart by the colour-blind; what is dealt from few to
much goes from dark to light in the order of viridis, so that it survives a grey printer. Where
colours stand for things, shape or dash does so too.
"""

from typing import Any, Literal

Paper = Literal["light", "dark"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4])
RAMP = "viridis"
ALARM = "#d1242f"

_INK = {
    "light": {"ink": "#1f2328", "faint": "#656d76", "line": "#d8dee4"},
    "dark": {"ink": "#e6edf3", "faint": "#9198a1", "line": "#30363d"},
}
_SERIES_ON_DARK = ("#4ea3dd", "#f08a4b", "#3fc79a", "#e39cc4", "#f0b64a", "#8fd0f5")


def config(paper: Paper) -> dict[str, Any]:
    """Vega-Lite's `config` for a kind of paper."""
    ink = _INK[paper]
    text = {"font": FONT, "color": ink["faint"]}
    return {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": ink["faint"],
            "titleColor": ink["faint"],
            "titleFontWeight": "normal",
            "titleFontSize": 12,
            "labelFontSize": 11,
            "gridColor": ink["line"],
            "gridDash": [2, 3],
            "domain": False,
            "ticks": False,
            "labelPadding": 6,
        },
        "legend": {
            "labelColor": ink["ink"],
            "titleColor": ink["faint"],
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "orient": "top",
            "symbolStrokeWidth": 2,
        },
        "title": {"color": ink["ink"], "fontSize": 13, "fontWeight": 600, "anchor": "start"},
        "header": {"labelColor": ink["ink"], "titleColor": ink["faint"]},
        "text": text,
        "mark": {"color": SERIES[0] if paper == "light" else _SERIES_ON_DARK[0]},
        "line": {"strokeWidth": 1.8, "strokeJoin": "round"},
        "rule": {"color": ink["faint"]},
        "tick": {"thickness": 1.5},
        "range": {"category": list(SERIES if paper == "light" else _SERIES_ON_DARK)},
        "concat": {"spacing": 8},
    }
