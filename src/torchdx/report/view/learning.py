"""How the run went: loss, learning rate, validation, and what happened when."""

from collections.abc import Iterator
from typing import TypedDict

from torchdx.record.model import Phase, Record
from torchdx.report.view.numbers import Number, outline, short

MOST_POINTS = 800  # of a curve
MOST_EVENTS = 200  # of a kind


class Curve(TypedDict):
    """A number over steps."""

    steps: list[int]
    values: list[Number]


class Moment(TypedDict):
    """Something that happened: `epoch`, `validation`, `mode` or `finding`, and what it was."""

    step: int
    kind: str
    what: str


class Validation(TypedDict):
    """One pass in which nothing was learned; None where it could not be measured."""

    step: int
    accuracy: Number
    loss: Number
    rows: int


class Learning(TypedDict):
    """The course of a run."""

    loss: Curve
    rates: list[tuple[str, Curve]]
    validation: list[Validation]
    moments: list[Moment]


def learning_of(record: Record) -> Learning:
    """Curves in few points, with their extremes kept."""
    rates = [
        (_called(number, optimizer.cls, len(record.optimizers)), _curve(optimizer.lrs))
        for number, optimizer in record.optimizers.items()
        if optimizer.lrs
    ]
    return Learning(
        loss=_curve(record.losses),
        rates=rates,
        validation=[_validation(phase) for phase in record.phases if phase.validation],
        moments=sorted(_moments(record), key=lambda moment: moment["step"]),
    )


def _curve(series: list[tuple[int, float]]) -> Curve:
    points = outline(series, MOST_POINTS)
    return Curve(steps=[step for step, _ in points], values=[short(v) for _, v in points])


def _called(number: int, cls: str, count: int) -> str:
    return f"{cls} {number}" if count > 1 else cls


def _validation(phase: Phase) -> Validation:
    return Validation(
        step=phase.step, accuracy=short(phase.accuracy), loss=short(phase.loss), rows=phase.rows
    )


def _moments(record: Record) -> Iterator[Moment]:
    training = [p for p in record.phases if p.loader and p.steps]
    for number, phase in enumerate(training[:MOST_EVENTS], 1):
        yield Moment(step=phase.step, kind="epoch", what=f"epoch {number} begins")
    for phase in [p for p in record.phases if p.validation][:MOST_EVENTS]:
        yield Moment(step=phase.step, kind="validation", what=_judged(phase))
    for event in record.of("mode")[:MOST_EVENTS]:
        to = "training" if event.facts.get("training") else "evaluation"
        model = event.facts.get("model") or "the model"
        yield Moment(step=event.step, kind="mode", what=f"{model} set to {to} mode")
    for told in record.findings:
        what = f"{told['code']} {told['name']} found"
        yield Moment(step=told.get("step", 0), kind="finding", what=what)


def _judged(phase: Phase) -> str:
    parts = [f"validation on {phase.rows} rows" if phase.rows else "validation"]
    parts += [f"accuracy {phase.accuracy:.1%}"] if phase.accuracy is not None else []
    parts += [f"loss {phase.loss:.4g}"] if phase.loss is not None else []
    return ", ".join(parts)
