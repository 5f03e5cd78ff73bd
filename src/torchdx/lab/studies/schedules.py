"""Phases of a schedule joined by a lookup of boundaries, and what becomes of the very end."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch

from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Chart, Figure, columns, quantity, told
from torchdx.report.charts.theme import ALARM
from torchdx.treatments.schedules import Schedule, combined, cosine

GRID = 20  # shares are multiples of 1 / GRID
SPLITS = {"quick": 60, "full": 400}  # for each number of phases and each precision
PHASES = (2, 3, 4)
TYPES = {"float32": torch.float32, "float64": torch.float64}
TRAININGS = {"quick": 200, "full": 1000}
CURVES = {2: (0.3, 0.7), 3: (0.2, 0.3, 0.5)}
VALUES = (0.3, 0.6, 0.2, 0.5, 0.1)  # where phases begin and end; the first three are the lesson's


def run(size: Size, seed: int) -> Iterator[Row]:
    """Splits of the whole, trainings of several lengths, and curves to look at."""
    draw = np.random.default_rng(seed)
    for phases in PHASES:
        for kind in TYPES:
            for _ in range(SPLITS[size]):
                split = _split(_drawn(draw, phases), kind)
                yield {"kind": "split", "phases": phases, "type": kind, **split}
    for _ in range(TRAININGS[size]):
        yield {"kind": "training", **_training(*draw.integers((1, 2), (31, 401)).tolist())}
    for phases, shares in CURVES.items():
        yield from _curves(phases, shares)


def _drawn(draw: np.random.Generator, phases: int) -> list[float]:
    """Shares as one writes them: two decimals, above 0, together one."""
    cuts = sorted(draw.choice(np.arange(1, GRID), phases - 1, replace=False).tolist())
    counts = [b - a for a, b in pairwise([0, *cuts, GRID])]
    return [round(count / GRID, 2) for count in counts]


def looked_up(shares: Sequence[float], kind: str, *, patch: bool = False) -> Schedule:
    """As in the lesson: the last boundary that is at or below the position tells the phase.

    With `patch` there is the line of its notebook: phase number 2 is taken to be number 1.
    """
    bounds = torch.cumsum(torch.tensor([0.0, *shares], dtype=TYPES[kind]), 0)

    def schedule(position: float) -> float:
        at = torch.tensor(position, dtype=TYPES[kind])
        number = int((at >= bounds).nonzero().max())
        number = 1 if patch and number == 2 else number
        within = (at - bounds[number]) / (bounds[number + 1] - bounds[number])
        return _wave(VALUES[number], VALUES[number + 1], float(within))

    return schedule


def _wave(start: float, end: float, within: float) -> float:
    """The lesson's own cosine, which goes on beyond its end."""
    return start + (1 + math.cos(math.pi * (1 - within))) * (end - start) / 2


def _right(shares: Sequence[float]) -> Schedule:
    return combined(shares, [cosine(a, b) for a, b in pairwise(VALUES[: len(shares) + 1])])


def _split(shares: list[float], kind: str) -> dict[str, float]:
    published, mended = looked_up(shares, kind), looked_up(shares, kind, patch=True)
    right = _right(shares)
    positions = np.linspace(0.01, 1, 34).tolist()
    joins = np.cumsum(shares)[:-1].tolist()
    near = 1e-4
    return {
        "accepted": float(sum(shares) == 1),
        "answers": float(_answers(published, 1.0)),
        "patch_error": max(_error(mended, right, p) for p in positions),
        "jump": max(abs(published(p + near) - published(p - near)) for p in joins),
        "end": right(1.0) - VALUES[len(shares)],
    }


def _answers(schedule: Schedule, position: float) -> bool:
    try:
        schedule(position)
    except IndexError:
        return False
    return True


def _error(schedule: Schedule, right: Schedule, position: float) -> float:
    """Against the right value; no answer at all counts as an error of 1."""
    return abs(schedule(position) - right(position)) if _answers(schedule, position) else 1.0


def _training(epochs: int, batches: int) -> dict[str, float]:
    """As the lesson's loop counts: epochs grow by 1 / batches at each batch."""
    schedule = looked_up((0.3, 0.7), "float32")
    done = 0.0
    for _ in range(epochs * batches - 1):
        done += 1 / batches
    last, once_more = done / epochs, (done + 1 / batches) / epochs
    return {
        "batches": batches,
        "last": 1 - last,
        "crashed": float(not _answers(schedule, last)),
        "crashed_once_more": float(not _answers(schedule, once_more)),
    }


def _curves(phases: int, shares: Sequence[float]) -> Iterator[Row]:
    arms = {
        "boundary lookup": looked_up(shares, "float32"),
        "with the patch": looked_up(shares, "float32", patch=True),
        "torchdx": _right(shares),
    }
    for arm, schedule in arms.items():
        for position in np.linspace(0.01, 1, 100).tolist():
            if _answers(schedule, position):
                where = {"kind": "curve", "phases": phases, "arm": arm, "position": position}
                yield {**where, "value": schedule(position)}


def share_answered(rows: Rows) -> float:
    """Of splits that pass the check of their sum, in either precision, at the position 1."""
    return rows.mean("answers", kind="split", accepted=1.0)


def share_patched(rows: Rows, *, more: bool) -> float:
    """Of splits in two phases, or in more, that the patch draws right at all positions."""
    splits = rows.where(kind="split", type="float32")
    chosen = splits.take((splits["phases"] > 2) == more)
    return float((chosen["patch_error"] < 1e-4).mean())


def share_accepted(rows: Rows) -> float:
    """Of splits in three and four phases that pass `sum(shares) == 1`."""
    splits = rows.where(kind="split")
    return float(splits.take(splits["phases"] > 2)["accepted"].mean())


def largest_jump(rows: Rows) -> float:
    """At a join, over a ten-thousandth of the training to either side."""
    return float(rows.where(kind="split", type="float64")["jump"].max())


def furthest_from_end(rows: Rows) -> float:
    """Of torchdx's own schedule at the position 1, from the last phase's end."""
    return float(np.abs(rows.where(kind="split")["end"]).max())


def share_crashed(rows: Rows) -> float:
    """Of trainings, at one of their own steps."""
    return rows.mean("crashed", kind="training")


def share_crashed_once_more(rows: Rows) -> float:
    """Of trainings whose schedule is asked once more behind the last step."""
    return rows.mean("crashed_once_more", kind="training")


CLAIMS = (
    Claim(
        name="breaks-at-the-end",
        sentence="At position 1 the phase after the last is looked up, so the function breaks.",
        statistic=lambda rows: 1 - share_answered(rows),
        direction="equal",
        target=1.0,
        delta=0.0,  # it is said of every split
        unit="share of splits",
        published=1.0,
    ),
    Claim(
        name="rounding-saves-it",
        sentence="The lesson's plot is drawn up to position 1 because floating-point rounding "
        "keeps the last boundary above it.",
        statistic=share_answered,
        direction="above",
        delta=0.01,  # one split in a hundred would do to call it rounding
        unit="share of splits",
    ),
    Claim(
        name="patch-mends-two-phases",
        sentence="`if idx == 2: idx = 1`, as in the notebook, draws two phases right.",
        statistic=lambda rows: share_patched(rows, more=False),
        direction="equal",
        target=1.0,
        delta=0.0,
        unit="share of splits",
        published=1.0,
    ),
    Claim(
        name="patch-mends-more-phases",
        sentence="The same patch serves a combination of any number of phases.",
        statistic=lambda rows: share_patched(rows, more=True),
        direction="equal",
        target=1.0,
        delta=0.01,
        unit="share of splits",
    ),
    Claim(
        name="sum-check-accepts",
        sentence="`assert sum(pcts) == 1.` lets shares pass that come to one.",
        statistic=share_accepted,
        direction="equal",
        target=1.0,
        delta=0.001,  # one right split in a thousand refused is one too many
        unit="share of splits",
    ),
    Claim(
        name="joined-smoothly",
        sentence="Phases of which each begins where the last one ended are combined smoothly.",
        statistic=largest_jump,
        direction="equal",
        delta=1e-4,  # of a rate; a plot shows a hundred times as much
        unit="rate",
        published=0.0,
    ),
    Claim(
        name="own-schedule-ends-right",
        sentence="torchdx's schedule ends on the last value of the last phase, to the last bit.",
        statistic=furthest_from_end,
        direction="equal",
        delta=0.0,
        unit="rate",
    ),
    Claim(
        name="one-step-more-crashes",
        sentence="A training loop that asks the schedule once more behind its last step crashes.",
        statistic=share_crashed_once_more,
        direction="equal",
        target=1.0,
        delta=0.0,
        unit="share of trainings",
    ),
    Claim(
        name="training-itself-stays-below",
        sentence="The steps of a training itself never reach position 1, so none of them crashes.",
        statistic=share_crashed,
        direction="equal",
        delta=0.0,
        unit="share of trainings",
        control=True,
    ),
)


def figure(rows: Rows) -> Figure:
    """The lesson's own split, and one in three phases, by each of the functions."""
    curves = rows.where(kind="curve")
    curves = curves.where(seed=curves["seed"][0])
    arms = ["torchdx", "boundary lookup", "with the patch"]
    titles = [f"{n} phases: {', '.join(f'{s:g}' for s in CURVES[n])}" for n in CURVES]
    title_of = dict(zip(CURVES, titles, strict=True))
    panels = [title_of[n] for n in curves["phases"].astype(int).tolist()]
    data = columns(
        panel=panels,
        arm=curves["arm"],
        position=curves["position"].tolist(),
        value=curves["value"].tolist(),
    )
    arm = {"field": "arm", "type": "nominal", "title": None, "sort": arms}
    line = {
        "mark": {"type": "line"},
        "encoding": {
            "color": arm | {"scale": {"domain": arms}},
            "strokeDash": arm | {"scale": {"domain": arms, "range": [[1, 0], [6, 4], [2, 3]]}},
            "strokeWidth": arm | {"scale": {"domain": arms, "range": [5, 2.4, 2.4]}},
            "opacity": arm | {"scale": {"domain": arms, "range": [0.3, 1, 1]}},
            "x": quantity("position", "share of the training that is over"),
            "y": quantity("value", "rate"),
            "tooltip": told(("arm", "function"), ("position", "position"), ("value", "rate")),
        },
    }
    chart = {
        "data": data,
        "hconcat": [
            {
                "title": title,
                "width": 260,
                "height": 200,
                "transform": [{"filter": {"field": "panel", "equal": title}}],
                "layer": [line, figure_end()],
            }
            for title in titles
        ],
    }
    says = (
        f"At position 1 the lookup answers for {share_answered(rows):.0%} of the splits; the patch "
        f"draws {share_patched(rows, more=False):.0%} of two phases right, and "
        f"{share_patched(rows, more=True):.0%} of three or four."
    )
    title = "Phases of a schedule, joined; at the cross the lookup has no answer"
    return Figure("schedules", title, says, chart)


def figure_end() -> Chart:
    """A cross where the lookup has no answer."""
    at = {"x": {"field": "position", "type": "quantitative"},
          "y": {"field": "value", "type": "quantitative"}}  # fmt: skip
    last = [{"filter": "datum.position === 1 && datum.arm === 'torchdx'"}]
    cross = {"type": "point", "shape": "cross", "angle": 45, "size": 90, "filled": True}
    return {"transform": last, "mark": cross | {"color": ALARM}, "encoding": at}


STUDY = Study(
    name="schedules",
    title="A schedule that looks up its phase by boundaries has no answer at its very end.",
    source="fast.ai forum, lesson 9 (2019): a question on combined schedules, and its answers",
    paper="fast.ai, Deep Learning from the Foundations (2019), notebook 05_anneal",
    setting=(
        "Splits of the whole into 2, 3 and 4 phases in steps of 0.05, at random, in both "
        "precisions; trainings of random length, counted as the lesson's loop counts. The "
        "functions are written anew after the notebook's."
    ),
    claims=CLAIMS,
    run=run,
    figure=figure,
)
