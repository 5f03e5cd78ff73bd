"""inverted-class-weights (L16): the weights of the loss make the classes less equal than they are.

## What is seen
The loss weights its classes (`weight`) or its positive rows (`pos_weight`), and the labels of the
batches were counted. Weights that are proportional to the class's own frequency, or larger the more
frequent the class is, multiply the imbalance. The same happens when a weighted sampler has balanced
the batches already and the weights balance them once more.
## Why the net does not learn
What counts in the loss is weight times number of rows. With the weights upside down the rare class
weighs less than without any, and the net learns to leave it out; balanced twice, the rare class
drowns the others.
## When this is wrong
Weights that express a cost (a missed fraud) may favour a class on purpose; only weights that follow
the frequencies, or a sampler beside them, are held against a run. Labels that come sorted tell
little: the order must hold in both halves of the batches counted.
## What to try
Weights of 1 / frequency: `len(y) / (classes * bincount(y))`; `pos_weight = negatives / positives`.
A sampler or weights, not both.
## Sources
PyTorch forum 22596, 78256 (threads matched by title); `torch.nn.BCEWithLogitsLoss`: 100 positive
and 300 negative rows ask for a pos_weight of 300 / 100 = 3.
"""

from collections.abc import Iterator, Sequence
from math import exp, log, sqrt

from torchdx.graph.model import Line, LossGraph, Node
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Standard errors by which two counts must differ to be told apart, and by which a weight may be off
# the frequency that it is said to be: 3, as is usual.
ERRORS = 3.0
# How far a weight may be off besides, as a logarithm: counts of a split, smoothing.
ROUNDING = 0.05
# The effective number of classes (exponential of the entropy) that weights may leave of that of the
# counts. A weight of 2 on a class of 63 % leaves 0.89 (a mild preference); 4 on a class of 80 %
# leaves 0.76; weights proportional to frequencies of 80 % and 20 % leave the same 0.76.
LEFT = 0.8


@rule("L16", "inverted-class-weights", silences="D06")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first weighted loss."""
    for event in record.of("labels"):
        graph = record.graphs.get(event.facts["graph"])
        head = None if graph is None else next(iter(_weighted(graph)), None)
        if graph is None or head is None:
            continue
        if head.saved.get("pos_weight"):
            answer = _positive(record, event, head, graph.backward)
        else:
            answer = _classes(record, event, head, graph.backward)
        if answer is not None:
            yield answer
            return


def _weighted(graph: LossGraph) -> Iterator[Node]:
    for head in graph.heads:
        by_class = head.op.startswith("NllLoss") and head.saved.get("weight")
        if by_class or head.saved.get("pos_weight"):
            yield head


def _sampled(record: Record) -> bool:
    return bool(record.of("weighted-sampler"))


# -- weights of classes --------------------------------------------------------------------------


def _classes(record: Record, event: Event, head: Node, line: Line | None) -> Finding | None:
    weights, counts = head.saved["weight"], event.facts["counts"]
    met = [c for c, n in enumerate(counts) if n > 0 and weights[c] > 0]
    if len(met) < 2:  # noqa: PLR2004  # one class is not unequal
        return None
    rows = [counts[c] for c in met]
    masses = [counts[c] * weights[c] for c in met]
    before, after = _effective(rows), _effective(masses)
    late = [event.facts["late"][c] for c in met]
    halves = [[event.facts["early"][c] for c in met], *([late] if any(late) else [])]
    used = [weights[c] for c in met]
    evidence = (
        Evidence("effective number of classes, weighted", round(after, 2), round(before, 2)),
        Evidence("weights", _listed(used)),
        Evidence("rows counted", _listed(rows)),
    )
    told = f"weighted, {after:.2f} classes count in the loss where the rows alone make {before:.2f}"
    if all(_follow(used, half) for half in halves) and after < before:
        if _proportional(used, rows):
            text = "the class weights are proportional to the classes' frequencies instead of to "
            return _finding(f"{text}their inverse: {told}", "fault", head, line, evidence)
        if after < LEFT * before:
            text = "the more frequent a class, the larger its weight"
            return _finding(f"{text}: {told}", "suspicion", head, line, evidence)
    if _sampled(record) and after < LEFT * before:
        text = "a weighted sampler chooses the rows and the loss weights the classes once more"
        return _finding(f"{text}: {told}", "suspicion", head, line, evidence)
    return None


def _effective(masses: Sequence[float]) -> float:
    """The number of equal classes that would have the same entropy."""
    total = sum(masses)
    return exp(-sum(m / total * log(m / total) for m in masses if m > 0))


def _differ(more: float, fewer: float) -> bool:
    """Whether two counts differ beyond chance."""
    if fewer <= 0:
        return False
    return log(more / fewer) > ERRORS * sqrt(1 / more + 1 / fewer)


def _follow(weights: Sequence[float], counts: Sequence[float]) -> bool:
    """Whether no class has a smaller weight than one that is clearly rarer, and some a larger."""
    pairs = [
        (weights[i], weights[j])
        for i, more in enumerate(counts)
        for j, fewer in enumerate(counts)
        if more > fewer and _differ(more, fewer)
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _proportional(weights: Sequence[float], counts: Sequence[float]) -> bool:
    ratios = [log(w / n) for w, n in zip(weights, counts, strict=True)]
    middle = sorted(ratios)[len(ratios) // 2]
    allowed = [ERRORS * sqrt(1 / n) + ROUNDING for n in counts]
    return all(abs(r - middle) <= a for r, a in zip(ratios, allowed, strict=True))


# -- weights of positive rows --------------------------------------------------------------------


def _positive(record: Record, event: Event, head: Node, line: Line | None) -> Finding | None:
    weights, counts = head.saved["pos_weight"], event.facts["counts"]
    units = list(zip(weights, counts[: len(weights)], counts[len(weights) :], strict=True))
    judged = [unit for unit in units if unit[1] > 0 and unit[2] > 0 and unit[0] > 0]
    wrong = [u for u in judged if _upside_down(*u)]
    if wrong and 2 * len(wrong) > len(judged):
        weight, no, yes = wrong[0]
        text = f"pos_weight is {weight:.3g}, which is positives / negatives ({yes:.0f} / {no:.0f}) "
        text += f"instead of {no / yes:.3g}: the rarer side counts even less than without it"
        evidence = (Evidence("pos_weight", round(weight, 4), round(no / yes, 4)),)
        return _finding(text, "fault", head, line, evidence)
    twice = [u for u in judged if not _differ(max(u[1:]), min(u[1:])) and _far_from_one(u[0])]
    if twice and 2 * len(twice) > len(judged) and _sampled(record):
        weight, no, yes = twice[0]
        text = f"a weighted sampler balances the batches ({yes:.0f} positive of {yes + no:.0f} "
        text += f"rows), and pos_weight {weight:.3g} weights the positive ones once more"
        evidence = (Evidence("pos_weight with balanced batches", round(weight, 4), 1.0),)
        return _finding(text, "suspicion", head, line, evidence)
    return None


def _upside_down(weight: float, no: float, yes: float) -> bool:
    """Whether a weight is the odds of its own side, or their share, where it should undo them."""
    if not _differ(max(no, yes), min(no, yes)):
        return False
    allowed = ERRORS * sqrt(1 / yes + 1 / no) + ROUNDING
    own = abs(log(weight) - log(yes / no)) <= allowed
    share = abs(log(weight) - log(yes / (yes + no))) <= allowed and weight < 1 and yes < no
    return (own or share) and (weight - 1) * (yes - no) > 0


def _far_from_one(weight: float) -> bool:
    """Whether a weight on one of two equal sides leaves less than `LEFT` of two classes."""
    return _effective([weight, 1.0]) < LEFT * 2


def _listed(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.3g}" if value < 1e3 else f"{value:.0f}" for value in values[:6])  # noqa: PLR2004
    return shown + (", ..." if len(values) > 6 else "")  # noqa: PLR2004


def _finding(
    text: str, severity: str, head: Node, line: Line | None, evidence: tuple[Evidence, ...]
) -> Finding:
    certain = severity == "fault"
    return Finding(
        text=text,
        line=head.line or line,
        place="loss",
        severity="fault" if certain else "suspicion",
        evidence=evidence,
        prescriptions=(
            Prescription("class_weights", "weight each class by 1 / frequency, or not at all"),
        ),
        confirm="" if certain else "compare the recall of the rare classes without the weights",
    )
