"""By what number the arms of a trial are compared: fixed before the treated arms are looked at.

What is chosen depends on the arm as it is and on the treatment alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torchdx.record.model import Phase, Record
from torchdx.rules.speed.cycles import cycles
from torchdx.treatments.base import JudgedOn

ENOUGH = 64  # validation rows below which one of them is worth more than 1.5 points

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """One number of an arm.

    key     under which the arm's scores have it; `words` for a person, `unit` likewise
    counts  the smallest difference that matters to anyone; relative to the arm as it is where
            `relative`
    higher  whether more of it is better
    """

    key: str
    words: str
    unit: str
    counts: float
    higher: bool = False
    relative: bool = False


_LISTED = (
    Measure("rows.loss", "loss of rows trained on, by the final model", "nats", 0.02),
    Measure("rows.explained", "variance explained of rows trained on", "", 0.02, higher=True),
    Measure("rows.value", "the program's own loss, by the final model", "", 0.05, relative=True),
    Measure("rows.accuracy", "accuracy on rows trained on", "", 0.01, higher=True),
    Measure("validation.accuracy", "accuracy on its validation rows", "", 0.01, higher=True),
    Measure("validation.loss", "loss of its validation rows", "", 0.05, relative=True),
    Measure("training.loss", "loss while training, second half", "nats", 0.02),
    Measure("training.explained", "variance explained while training", "", 0.02, higher=True),
    Measure("training.value", "the program's own loss while training", "", 0.05, relative=True),
    Measure("step.seconds", "time of a step", "s", 0.1, relative=True),
)
MEASURES = {measure.key: measure for measure in _LISTED}
_OWN_LOSS = frozenset({"rows.value", "training.value", "validation.loss"})
_ORDERS: dict[JudgedOn, tuple[str, ...]] = {
    "rows": (
        "rows.loss",
        "rows.explained",
        "training.loss",
        "training.explained",
        "validation.accuracy",
        "rows.value",
        "training.value",
    ),
    "validation": ("validation.accuracy", "validation.loss", "rows.loss", "rows.explained"),
    "speed": ("step.seconds",),
}


def choose(judged_on: JudgedOn, as_it_is: Result, *, redefines: bool = False) -> Measure | None:
    """The first measure in the treatment's order that the arm as it is has.

    Where the treatment `redefines` the program's own loss, that shows nothing; the validation's,
    taken from answers and labels, is a squared error, and shows little of scores for classes.
    """
    scores = as_it_is.get("scores") or {}
    left_out = set(_OWN_LOSS) if redefines else set()
    left_out |= {"validation.loss"} if "rows.loss" in scores else set()
    keys = (k for k in _ORDERS[judged_on] if k not in left_out)
    return next((MEASURES[key] for key in keys if key in scores), None)


def from_record(record: Record) -> dict[str, float]:
    """What the record of an arm has measured besides: its validation and its pace."""
    found: dict[str, float] = {}
    judged = [p for p in record.phases if p.validation and p.rows >= ENOUGH]
    if judged:
        last: Phase = judged[-1]
        if last.accuracy is not None:
            found["validation.accuracy"] = last.accuracy
        if last.loss is not None:
            found["validation.loss"] = last.loss
    losses = [loss for _, loss in record.losses]
    tail = losses[-max(1, len(losses) // 4) :]
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:  # a loss that is lost counts as the highest that was
        found["training.value"] = fmean(tail) if math.isfinite(sum(tail)) else max(finite)
    if (pace := cycles(record)) is not None:
        found["step.seconds"] = pace.whole
    return found
