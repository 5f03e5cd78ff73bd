"""How the Hessian's eigenvalues are distributed, first and last, and which stand apart."""

import math

from torchdx.report.charts.base import FILL, Chart, Figure, columns, quantity, said, told
from torchdx.report.view import View
from torchdx.report.view.curvature import Density

POINTS = 160
KERNELS = 36.0  # to the range
FLOOR = 0.1  # eigenvalues: what is below is left away
NEAR = 1.5  # times the range: further off the limit of stable steps is not drawn


def spectrum(view: View) -> Figure | None:
    """Smoothed counts of eigenvalues; None where they were not measured."""
    known = [s for s in view["spectra"] if _drawn(s)]
    if not known:
        return None
    first, last = known[0], known[-1]
    own = [s for s in known if s["model"] == last["model"]]
    shown = [last] if len(own) == 1 else [own[0], last]
    ends = _ends(shown)
    title = "eigenvalue"
    title += " in the optimizer's coordinates" if last["scaled"] else ""
    x = quantity("at", title, axis={"format": "~s", "tickCount": 6, "grid": False})
    x["scale"] = {"zero": False, "nice": False}
    legend = {"titleOrient": "left", "titlePadding": 8}
    colour = {"field": "step", "type": "nominal", "title": "step", "sort": None, "legend": legend}
    encoding: Chart = {"x": x} | ({"color": colour} if len(shown) > 1 else {})
    decades = [10**k for k in range(len(str(last["size"])))]
    axis = {"format": "~s", "values": decades}
    y = quantity("count", "eigenvalues around it, about", "log", axis=axis)
    y["scale"] = {"type": "log", "domainMin": FLOOR}
    apart = told(("step", "step"), ("said", "eigenvalue"))
    layers: list[Chart] = [
        {"data": _curves(shown, ends), "mark": "line", "encoding": encoding | {"y": y}},
        {
            "data": _apart(shown),
            "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.9},
            "encoding": encoding | {"y": y, "tooltip": apart},
        },
    ]
    stable = last["stable"]
    if isinstance(stable, int | float) and ends[0] < stable < ends[0] + NEAR * (ends[1] - ends[0]):
        rule = {"type": "rule", "strokeDash": [4, 4], "tooltip": "the largest that steps bear"}
        limit = {"x": {"field": "at", "type": "quantitative"}}
        layers.append({"data": columns(at=[stable]), "mark": rule, "encoding": limit})
    chart: Chart = {"width": FILL, "height": 200, "layer": layers}
    return Figure("spectrum", "Eigenvalues of the Hessian", _says(first, last), chart)


def _drawn(known: Density) -> bool:
    return all(isinstance(v, int | float) for v in (*known["nodes"], *known["weights"]))


def _ends(shown: list[Density]) -> tuple[float, float]:
    nodes = [float(node) for s in shown for node in s["nodes"] if isinstance(node, int | float)]
    reach = (max(nodes) - min(nodes)) or max(map(abs, nodes)) or 1.0
    return min(nodes) - 0.04 * reach, max(nodes) + 0.04 * reach


def _curves(shown: list[Density], ends: tuple[float, float]) -> Chart:
    """An eigenvalue by itself has a peak of 1."""
    width = (ends[1] - ends[0]) / KERNELS
    places = [ends[0] + (ends[1] - ends[0]) * i / (POINTS - 1) for i in range(POINTS)]
    at: list[float] = []
    count: list[float | None] = []
    steps: list[str] = []
    for each in shown:
        masses = _masses(each)
        for place in places:
            value = sum(m * math.exp(-0.5 * ((place - node) / width) ** 2) for node, m in masses)
            at.append(float(f"{place:.4g}"))
            count.append(float(f"{value:.3g}") if value >= FLOOR else None)
            steps.append(f"{each['step']:,}")
    return columns(at=at, count=count, step=steps)


def _masses(each: Density) -> list[tuple[float, float]]:
    """Eigenvalues and how many stand there; those that stand apart are one each."""
    nodes = [float(n) for n in each["nodes"] if isinstance(n, int | float)]
    counts = [each["size"] * float(w) for w in each["weights"] if isinstance(w, int | float)]
    top, bottom = each["apart"]
    last = len(nodes)
    alone = {*range(last - top, last), *range(bottom)}
    return [
        (n, 1.0 if i in alone else c) for i, (n, c) in enumerate(zip(nodes, counts, strict=True))
    ]


def _apart(shown: list[Density]) -> Chart:
    """Those that are known one by one."""
    at, steps, words = [], [], []
    for each in shown:
        top, bottom = each["apart"]
        for node in [*each["nodes"][:bottom], *each["nodes"][len(each["nodes"]) - top :]]:
            at.append(node)
            steps.append(f"{each['step']:,}")
            words.append(said(node))
    return columns(at=at, count=[1.0] * len(at), step=steps, said=words)


def _says(first: Density, last: Density) -> str:
    nodes, top = last["nodes"], last["apart"][0]
    text = f"At step {last['step']:,} the {last['size']:,} eigenvalues lie between "
    text += f"{said(nodes[0])} and {said(nodes[-1])}"
    if first["step"] != last["step"] and first["model"] == last["model"]:
        text += f" (at step {first['step']:,} {said(first['nodes'][0])} and "
        text += f"{said(first['nodes'][-1])})"
    text += "; at the top "
    text += f"{top} stand{'s' * (top == 1)} apart, the points" if top else "none is told apart"
    if isinstance(last["near_zero"], int | float):
        text += f"; about {last['near_zero']:.0%} are near 0"
    if last["stable"] is not None:
        text += f"; steps bear {said(last['stable'])}"
    return f"{text}. {about(last['rows'], training=last['training'])}"


def about(rows: int, *, training: bool) -> str:
    """What was differentiated."""
    return f"Of one batch of {rows:,} rows, in {'training' if training else 'evaluation'} mode."
