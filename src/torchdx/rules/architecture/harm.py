"""How a run fared beside a guess: whoever knows how common the answers are and nothing else."""

import math
from statistics import median

from torchdx.record.model import Record, Series
from torchdx.rules.asked import Asked, asked
from torchdx.rules.series import LEAST

# The loss counts as that of a guess down to this share of it: batches of 50 rows vary by 3%.
NEAR = 0.9
WINDOW = 5  # losses whose median counts
ALONE = 0.9  # of all backward passes are of one loss: the others are last, smaller batches


def loss_of(record: Record, graph: int) -> Asked | None:
    """What a loss graph was asked for, None where its loss is of no known kind."""
    return next((loss for loss in asked(record) if loss.graph.key == graph), None)


def guess(loss: Asked) -> float | None:
    """The loss of a guess: the entropy of the label shares, or the variance of the targets."""
    facts = loss.facts
    if facts["loss"] == "values":
        return float(facts["variance"]) or None
    counts, rows = facts["counts"], facts["rows"]
    if facts["loss"] == "classes" and sum(counts):
        return entropy([count / sum(counts) for count in counts]) or None
    if facts["loss"] == "units" and rows and counts:
        shares = [min(max(count / rows, 0.0), 1.0) for count in counts]
        return sum(entropy([share, 1 - share]) for share in shares) / len(shares) or None
    return None


def entropy(shares: list[float]) -> float:
    """In nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def first_over_guess(record: Record, graph: int) -> float | None:
    """The first measured loss over that of a guess; None where either is not known."""
    loss = loss_of(record, graph)
    plain = None if loss is None else guess(loss)
    if loss is None or plain is None or loss.facts["first"].get("step", 0) > 1:
        return None
    return float(loss.facts["first"]["loss"]) / plain


def waited(record: Record, graph: int) -> float | None:
    """The part of the run, 0 to 1, that went by before the loss was clearly below a guess's.

    None where the loss is of no known kind, or too little was measured.
    """
    loss = loss_of(record, graph)
    plain = None if loss is None else guess(loss)
    series = [] if loss is None else _course(record, loss)
    if plain is None or len(series) < LEAST or not record.steps:
        return None
    for start in range(len(series) - WINDOW + 1):
        window = series[start : start + WINDOW]
        if median(value for _, value in window) <= NEAR * plain:
            return window[WINDOW // 2][0] / record.steps
    return 1.0


def _course(record: Record, loss: Asked) -> Series:
    """The loss at every step where the program's loss is this one alone; else where sampled."""
    key, first = loss.graph.key, loss.facts["first"]
    alone = record.graph_counts.get(key, 0) >= ALONE * sum(record.graph_counts.values())
    same = math.isclose(first["root"], first["loss"], rel_tol=0.01)
    return record.losses if alone and same else loss.series(record, "loss.head")


def not_finite(record: Record) -> bool:
    """Whether some measured loss was not a number."""
    return any(not math.isfinite(value) for _, value in record.losses)
