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
    panels = [_runs(data, arms, values, measure["words"])]
    gains = [
        g for g in [kept.get("effect"), *kept.get("rivals", ())] if g and g["mean"] is not None
    ]
    panels += [_gains(gains)] if gains else []
    means = {name: [v for arm, _, _, v in rows if arm == name] for name in arms}
    text = ", ".join(f"{name} {said(sum(v) / len(v))}" for name, v in means.items())
    says = f"Mean {measure['words']}: {text}" + "".join(_in_words(gain) for gain in gains) + "."
    return Figure(f"trial-{kept['code']}", "Trial", says, {"vconcat": panels, "spacing": 18})


def _runs(data: Chart, arms: list[str], values: list[float], words: str) -> Chart:
    """A row an arm, a dot a seed."""
    scale: Chart = {"type": "log"} if spans(values) else {"zero": False}
    x = {"field": "value", "type": "quantitative", "title": words, "scale": scale}
    x |= {"axis": {"tickCount": 5, "format": "~g"}}
    y: Chart = {"field": "arm", "type": "nominal", "sort": arms, "title": None}
    y |= {"axis": {"grid": False, "labelLimit": 200}}
    roles = ["as it is", "treated", "control"]
    role: Chart = {"field": "role", "type": "nominal", "sort": roles, "legend": None}
    role |= {"scale": {"domain": roles}}
    tooltip = told(("arm", "arm"), ("seed", "seed"), ("value", words))
    dot = {"type": "point", "filled": True, "size": 45, "opacity": 0.55}
    mean = {"type": "tick", "thickness": 3, "height": 18}
    return {
        "data": data,
        "width": FILL,
        "height": 26 * len(arms),
        "encoding": {"y": y, "x": x, "color": role},
        "layer": [
            {"mark": dot, "encoding": {"shape": role, "tooltip": tooltip}},
            {"mark": mean, "encoding": {"x": x | {"aggregate": "mean"}}},
        ],
    }


def _gains(gains: list[dict[str, Any]]) -> Chart:
    """How much better the treated runs are than each other arm, with its interval."""
    names = [f"than {gain['against']}" for gain in gains]
    data = columns(
        against=names,
        mean=[gain["mean"] for gain in gains],
        low=[gain["low"] for gain in gains],
        high=[gain["high"] for gain in gains],
    )
    level = f"{gains[0]['level']:.0%} interval"
    x: Chart = {"field": "mean", "type": "quantitative", "title": f"better by, with {level}"}
    x |= {"axis": {"tickCount": 5, "format": "~g"}}
    y: Chart = {"field": "against", "type": "nominal", "sort": names, "title": None}
    y |= {"axis": {"grid": False, "labelLimit": 200}}
    tooltip = told(("against", "better"), ("mean", "by"), ("low", "from"), ("high", "to"))
    ends = {"x": x | {"field": "low"}, "x2": {"field": "high"}}
    nothing = {"datum": 0, "type": "quantitative"}
    return {
        "data": data,
        "width": FILL,
        "height": 22 * len(names),
        "encoding": {"y": y, "tooltip": tooltip},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": nothing, "y": None}},
            {"mark": {"type": "bar", "height": 4, "opacity": 0.5}, "encoding": ends},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {"x": x},
            },
        ],
    }


def _in_words(gain: dict[str, Any]) -> str:
    interval = f"{gain['level']:.0%} interval {said(gain['low'])} .. {said(gain['high'])}"
    return f"; better than {gain['against']} by {said(gain['mean'])} ({interval})"


def _role(name: str, *, control: bool) -> str:
    if control:
        return "control"
    return "as it is" if name.startswith("as it is") else "treated"
