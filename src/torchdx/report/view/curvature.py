"""Curvature over the run: the sharpest direction, all eigenvalues, and the loss along lines."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from torchdx.record.model import Event, Record
from torchdx.report.view.numbers import Number, short

LOSS_DIGITS = 7  # of a slice: its shape is in small differences


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


class Density(TypedDict):
    """The distribution of eigenvalues at one step, as point masses.

    nodes, weights  eigenvalues and their shares, ascending
    apart     how many stand apart at the top and at the bottom
    negative  share below 0, `near_zero` within 1% of the radius of 0; `size`: how many there are
    stable    the largest eigenvalue that the optimizer's steps bear; None where not known
    scaled    whether in the optimizer's coordinates
    """

    step: int
    model: str
    nodes: list[Number]
    weights: list[Number]
    apart: list[int]
    negative: Number
    near_zero: Number
    size: int
    stable: Number
    scaled: bool
    training: bool
    rows: int


class Line(TypedDict):
    """The loss along one direction: `places` are multiples of it, `parabola` is beside `losses`."""

    name: str
    length: Number
    places: list[Number]
    losses: list[Number]
    parabola: list[Number]


class Slice(TypedDict):
    """The loss along lines through the weights of one step; `value` is the loss there."""

    step: int
    model: str
    value: Number
    max_norm: Number
    training: bool
    rows: int
    lines: list[Line]


def curvature_of(record: Record) -> list[Sharpness]:
    """In the order of steps, a line for each model and step."""
    return [_sharpness(event) for event in record.probes("sharpness")]


def spectra_of(record: Record) -> list[Density]:
    """In the order of steps."""
    known = {(e.step, e.facts["model"]): e.facts for e in record.probes("sharpness")}
    return [
        _density(event, known.get((event.step, event.facts["model"]), {}))
        for event in record.probes("spectrum")
    ]


def slices_of(record: Record) -> list[Slice]:
    """In the order of steps."""
    return [_slice(event) for event in record.probes("slice")]


def curvature_in_words(record: Record) -> Iterator[str]:
    """Two lines at most for the terminal: the step size last measured, and the eigenvalues."""
    known, spectra = curvature_of(record), spectra_of(record)
    if known:
        last = known[-1]
        within = f"{_said(last['low'])} to {_said(last['high'])}"
        at = f"learning rate at {_said(last['ratio'])} of its limit"
        yield f"step {last['step']:,}: {at} ({within}, 99%)"
    if spectra:
        of = spectra[-1]
        apart = f"{of['apart'][0]} apart at the top" if of["apart"][0] else "none told apart"
        ends = f"{_said(of['nodes'][0])} to {_said(of['nodes'][-1])}"
        yield f"step {of['step']:,}: {of['size']:,} eigenvalues from {ends}, {apart}"


def _said(value: Number) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


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


def _density(event: Event, sharpness: Mapping[str, Any]) -> Density:
    facts = event.facts
    lr, limit = sharpness.get("lr"), sharpness.get("limit")
    return Density(
        step=event.step,
        model=facts["model"],
        nodes=[short(node) for node in facts["nodes"]],
        weights=[short(weight) for weight in facts["weights"]],
        apart=list(facts["apart"]),
        negative=short(facts["negative"]),
        near_zero=short(facts["near_zero"]),
        size=facts["size"],
        stable=short(limit / lr) if lr and limit else None,
        scaled=facts["scaled"],
        training=facts["training"],
        rows=facts["rows"],
    )


def _slice(event: Event) -> Slice:
    facts = event.facts
    return Slice(
        step=event.step,
        model=facts["model"],
        value=short(facts["value"]),
        max_norm=short(facts["max_norm"]),
        training=facts["training"],
        rows=facts["rows"],
        lines=[_line(line, facts["value"]) for line in facts["lines"]],
    )


def _line(line: dict[str, Any], value: float) -> Line:
    slope, curvature = line["slope"], line["curvature"]
    parabola = [value + a * slope + a * a / 2 * curvature for a in line["places"]]
    return Line(
        name=line["name"],
        length=short(line["length"]),
        places=[short(place) for place in line["places"]],
        losses=[short(loss, LOSS_DIGITS) for loss in line["losses"]],
        parabola=[short(loss, LOSS_DIGITS) for loss in parabola],
    )
