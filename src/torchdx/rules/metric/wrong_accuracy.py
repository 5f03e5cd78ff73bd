"""wrong-accuracy (M01): the accuracy is not counted from what the model predicts.

## What is seen
What the program does with the model's answers in validation: `argmax` along a dimension with one
place, which is always 0; `argmax` over the rows of the batch, or over all of it, compared with the
rows' labels; scores cut at 0.5, or rounded, where the loss applies the sigmoid itself and the
border between no and yes lies at 0; or probabilities cut at 0, which makes all of them yes.
## Why the net does not learn
It does. The number that is told does not follow it: it stands still, or is too low, and makes one
look for a fault in the model, pick the wrong epoch or stop too early.
## When this is wrong
A cut at 0.5 on scores may be meant, to say yes only from a probability of 0.62 on; no other cut
than 0.5 is judged. Scores that all lie within 0 and 1 in validation are passed over: a model may
put out probabilities there and scores in training.
## What to try
For one score a row: `(scores > 0)`, or `(torch.sigmoid(scores) > 0.5)`. For one score a class:
`scores.argmax(dim=1)`.
## Sources
Stack Overflow 62354952, 56841451; `torch.nn.BCEWithLogitsLoss`; `torch.argmax`.
"""

from collections.abc import Iterator

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule
from torchdx.rules.metric.judged import asked_of, counted, uses

HALF = 0.5  # the border of probabilities
PROBABILITY_AT_HALF = 0.62  # the sigmoid of 0.5


@rule("M01", "wrong-accuracy")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first line that judges answers wrongly."""
    for judge in (_of_one, _of_rows, _of_scores, _of_probabilities):
        found = next(judge(record), None)
        if found is not None:
            yield found
            return


def _of_one(record: Record) -> Iterator[Finding]:
    for pick in uses(record, "pick"):
        facts, asked = pick.facts, asked_of(record, pick)
        units = asked is not None and asked["loss"] == "units" and asked["classes"] == 1
        if facts["size"] == 1 and facts["dim"] is not None and units:
            shape = tuple(facts["shape"])
            yield _finding(
                record,
                pick,
                f"the best of one is taken: argmax along dimension {facts['dim']} of answers of "
                f"shape {shape}, which is 0 for every row",
                "cut the scores at 0 instead: (scores > 0)",
            )


def _of_rows(record: Record) -> Iterator[Finding]:
    for pick in uses(record, "pick"):
        facts, asked = pick.facts, asked_of(record, pick)
        shape = tuple(facts["shape"])
        classes = asked is not None and asked["loss"] == "classes" and asked["classes"]
        across = facts["dim"] is None or facts["dim"] in {0, -len(shape)}
        if not classes or len(shape) < 2 or shape[1] != classes or not across:  # noqa: PLR2004
            continue
        if shape[0] > 1 and counted(record, pick):
            where = "over all elements" if facts["dim"] is None else "over the rows (dimension 0)"
            yield _finding(
                record,
                pick,
                f"argmax is taken {where} of answers of shape {shape}, rows first, and compared "
                "with the labels of the rows",
                "take it along the classes: scores.argmax(dim=1)",
            )


def _of_scores(record: Record) -> Iterator[Finding]:
    for cut in [*uses(record, "threshold"), *uses(record, "round")]:
        facts, asked = cut.facts, asked_of(record, cut)
        raw = asked is not None and asked["op"].endswith("WithLogits") and facts["of"] == "answer"
        if raw and facts["at"] == HALF and counted(record, cut) and _beyond(record, cut):
            how = "rounded" if facts["op"] == "round" else "cut at 0.5"
            yield _finding(
                record,
                cut,
                f"the scores are {how}, as if they were probabilities; the loss applies the "
                f"sigmoid itself, so that the border lies at 0: rows of a probability from 0.5 to "
                f"{PROBABILITY_AT_HALF} are counted as no",
                "cut the scores at 0, or their sigmoid at 0.5",
            )


def _of_probabilities(record: Record) -> Iterator[Finding]:
    for cut in uses(record, "threshold"):
        facts, asked = cut.facts, asked_of(record, cut)
        units = asked is not None and asked["loss"] == "units"
        sure = units and (facts["of"] == "sigmoid" or asked["op"] == "BinaryCrossEntropy")  # type: ignore[index]
        if sure and facts["at"] == 0 and facts["low"] >= 0 and counted(record, cut):
            yield _finding(
                record,
                cut,
                "probabilities are cut at 0, which every one of them exceeds: all rows are "
                "answered with yes",
                "cut probabilities at 0.5",
            )


def _beyond(record: Record, cut: Event) -> bool:
    """Whether the answers were seen to be no probabilities."""
    same = (e for e in uses(record, cut.facts["op"]) if e.line == cut.line)
    return any(e.facts["low"] < 0 or e.facts["high"] > 1 for e in same)


def _finding(record: Record, use: Event, what: str, cure: str) -> Finding:
    told, right = _shares(record, use)
    harm = told is not None and right is not None and told != right
    numbers = f"; {told:.4f} of the rows are counted as right, {right:.4f} are" if harm else ""
    severity: Severity = "fault" if harm or use.facts["op"] == "pick" else "suspicion"
    evidence = [] if told is None else [Evidence("share counted as right", told, right)]
    return Finding(
        text=what + numbers,
        line=use.line,
        place=use.facts["model"],
        severity=severity,
        confidence="strong" if severity == "suspicion" else "certain",
        evidence=tuple(evidence),
        prescriptions=(Prescription("metric", cure, where=use.facts["model"]),),
        confirm="" if severity == "fault" else "the share of right answers with either border",
    )


def _shares(record: Record, use: Event) -> tuple[float | None, float | None]:
    """What the program counts as right, and what is: of the last comparison that was seen."""
    found = counted(record, use)
    if not found:
        return None, None
    differing = [e for e in found if e.facts["at_zero"] not in {None, e.facts["share"]}]
    facts = (differing or found)[-1].facts
    asked = asked_of(record, use)
    raw = asked is None or asked["op"].endswith("WithLogits")
    return facts["share"], facts["at_zero" if raw else "at_half"]
