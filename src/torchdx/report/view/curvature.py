"""The sharpest direction of the loss over the run, against what the optimizer's steps bear."""

from typing import TypedDict

from torchdx.record.model import Event, Record
from torchdx.report.view.numbers import Number, short


class Sharpness(TypedDict):
    """What one probe measured.

    ratio     learning rate times curvature over the limit of stable steps; `low`, `high` its bounds
    curvature the largest eigenvalue, `lowest` the smallest that was met; `lr` the learning rate
    """

    step: int
    model: str
    ratio: Number
    low: Number
    high: Number
    curvature: Number
    lowest: Number
    lr: Number


def curvature_of(record: Record) -> list[Sharpness]:
    """In the order of steps, a line for each model and step."""
    return [_sharpness(event) for event in record.probes("sharpness")]


def _sharpness(event: Event) -> Sharpness:
    facts = event.facts
    per = facts["ratio"] / facts["curvature"] if facts["curvature"] else 0.0
    error = facts.get("error", 0.0)  # of records that have no bounds
    low = facts.get("low", facts["curvature"] - error)
    high = facts.get("high", facts["curvature"] + error)
    return Sharpness(
        step=event.step,
        model=facts["model"],
        ratio=short(facts["ratio"]),
        low=short(per * low),
        high=short(per * high),
        curvature=short(facts["curvature"]),
        lowest=short(facts["lowest"]),
        lr=short(facts["lr"]),
    )
