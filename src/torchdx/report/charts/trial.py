"""What a trial showed: a dot for each run, a bar for the mean of each arm."""

from typing import Any

from torchdx.report.charts.base import FILL, Chart, Figure, columns, said, spans, told


def trial(kept: dict[str, Any]) -> Figure | None:
    """Arms beside one another on the measure that decides; None where nothing was measured."""
    measure = kept.get("measure")
    rows = [
        (arm["name"], arm["control"], int(seed), value)
        for arm in kept.get("arms", [])
        for seed, value in arm["values"].items()
        if value is not None
    ]
    if not measure or not rows:
        return None
    arms = list(dict.fromkeys(name for name, *_ in rows))
    values = [value for *_, value in rows]
    data = columns(
        arm=[name for name, *_ in rows],
        role=[_role(name, control=control) for name, control, *_ in rows],
        seed=[seed for _, _, seed, _ in rows],
        value=values,
    )
    scale: Chart = {"type": "log"} if spans(values) else {"zero": False}
    x = {"field": "value", "type": "quantitative", "title": measure["words"], "scale": scale}
    x |= {"axis": {"tickCount": 5, "format": "~g"}}
    y: Chart = {"field": "arm", "type": "nominal", "sort": arms, "title": None}
    y |= {"axis": {"grid": False, "labelLimit": 200}}
    roles = ["as it is", "treated", "control"]
    role: Chart = {"field": "role", "type": "nominal", "sort": roles, "legend": None}
    role |= {"scale": {"domain": roles}}
    tooltip = told(("arm", "arm"), ("seed", "seed"), ("value", measure["words"]))
    dot = {"type": "point", "filled": True, "size": 45, "opacity": 0.55}
    mean = {"type": "tick", "thickness": 3, "height": 18}
    chart: Chart = {
        "data": data,
        "width": FILL,
        "height": 30 * len(arms),
        "encoding": {"y": y, "x": x, "color": role},
        "layer": [
            {"mark": dot, "encoding": {"shape": role, "tooltip": tooltip}},
            {"mark": mean, "encoding": {"x": x | {"aggregate": "mean"}}},
        ],
    }
    means = {name: [v for arm, _, _, v in rows if arm == name] for name in arms}
    text = ", ".join(f"{name} {said(sum(v) / len(v))}" for name, v in means.items())
    return Figure(f"trial-{kept['code']}", "Trial", f"Mean {measure['words']}: {text}.", chart)


def _role(name: str, *, control: bool) -> str:
    if control:
        return "control"
    return "as it is" if name.startswith("as it is") else "treated"
