"""zero-gradient-op (L18): the path of the loss goes through an operation without a derivative.

## What is seen
Either parameters that are joined to the loss only through `round`, `floor`, `sign` or the like,
whose derivative is zero everywhere. Or parameters that no backward pass reaches, because an argmax,
a comparison or a cast to whole numbers stands between them and the loss.
## Why the net does not learn
A small change of the weights does not change what such an operation answers, so that the gradient
is exactly zero, or there is none.
## When this is wrong
Straight-through estimators (`x + (round(x) - x).detach()`, or an `autograd.Function`) give another
path and are passed over; so are argmax and comparisons for a metric, whose parameters are reached
on the usual way.
## What to try
Put the loss on the scores or probabilities before that operation (cross-entropy); or a smooth
stand-in: softmax with a temperature, Gumbel-softmax, a straight-through estimator.
## Sources
PyTorch forum 102279 (thread matched by title); torch's derivative of `round` and `floor` is zero;
Bengio et al. 2013 (arXiv 1308.3432) for the straight-through estimator.
"""

from collections.abc import Iterator

from torchdx.graph.model import FLAT, LossGraph, Node
from torchdx.record.model import Cut, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.loss.lost import (
    DERIVATIVE_FREE,
    Lost,
    lost_roots,
    remade,
    taken_out_inside,
    unreached,
)

# Steps after which every optimizer of a program that takes turns (GAN: a step each) has had
# several; before, a parameter may only not have been reached yet.
SETTLED = 3


@rule("L18", "zero-gradient-op")
def check(record: Record) -> Iterator[Answer]:
    """One finding: a flat operation in the graph, else a cut that lost everything, or a part."""
    answer = _flat(record) or _lost(record) or _partly(record)
    if answer is not None:
        yield answer


def _flat(record: Record) -> Finding | None:
    """Parameters that are joined to every loss only through a derivative of zero."""
    live = {name for graph in record.graphs.values() for name in _live(graph)}
    for graph in record.graphs.values():
        dead = {name for name in graph.leaves if name} - live
        if dead and (not _live(graph) or record.steps >= SETTLED):
            blocks = (n for n in graph.below(graph.root) if _is_flat(n) and _feeds(graph, n, dead))
            block = next(blocks)
            return _flat_finding(graph, block, len(dead), len(graph.leaves))
    return None


def _is_flat(node: Node) -> bool:
    return node.op in FLAT or bool(node.saved.get("rounding_mode"))


def _live(graph: LossGraph) -> set[str]:
    """The leaves that a path without a flat operation joins to the root."""
    seen, waiting, found = {0}, [graph.root], set()
    while waiting:
        node = waiting.pop()
        if node.leaf is not None:
            found.add(node.leaf)
        if _is_flat(node):
            continue
        for made_by in graph.inputs(node):
            if made_by.index not in seen:
                seen.add(made_by.index)
                waiting.append(made_by)
    return found


def _feeds(graph: LossGraph, node: Node, names: set[str]) -> bool:
    return any(below.leaf in names for below in graph.below(node))


def _flat_finding(graph: LossGraph, block: Node, dead: int, of: int) -> Finding:
    name = block.op.lower() if block.op in FLAT else "a rounding division"
    return Finding(
        text=f"{name} stands between the loss and {dead} of {of} parameters; its derivative is "
        "zero everywhere, so that their gradients are exactly zero",
        line=block.line or graph.backward,
        place="loss",
        evidence=(
            Evidence("parameters joined to the loss only through it", dead, 0),
            Evidence("operation", block.op, "one with a derivative"),
        ),
        prescriptions=(_PRESCRIPTION,),
    )


def _lost(record: Record) -> Finding | None:
    """A loss that reaches no parameter, because of such an operation."""
    for lost in lost_roots(record):
        if remade(record, lost) is not None:
            continue
        cut = next(filter(lambda c: _explains(record, lost.cuts, c), reversed(lost.cuts)), None)
        if cut is not None:
            return _cut_finding(cut, unreached(record, cut), "fault")
        answer = _by_source(record, lost)
        if answer is not None:
            return answer
    return None


def _explains(record: Record, cuts: tuple[Cut, ...], cut: Cut) -> bool:
    """Whether a cut ended the path of parameters, none of which left the graph otherwise."""
    lost = unreached(record, cut)
    return cut.op in DERIVATIVE_FREE and bool(lost) and not taken_out_inside(cuts, lost)


def _partly(record: Record) -> Finding | None:
    """Parameters that an optimizer holds and none reaches, behind such an operation."""
    if record.opaque or record.of("bare-root") or record.of("no-parameters"):
        return None
    stepped = [o for o in record.optimizers.values() if o.steps >= SETTLED]
    held = {name for optimizer in stepped for name in optimizer.parameters}
    for cut in record.cuts:
        names = unreached(record, cut) & held
        if names and _explains(record, tuple(record.cuts), cut):
            return _cut_finding(cut, names, "suspicion")
    return None


def _by_source(record: Record, lost: Lost) -> Finding | None:
    """The functions of the `torch` namespace leave no trace but in the source."""
    lines = [line for line in lost.marks(record, "inside", "argmax") if line is not None]
    if not lines or lost.cuts or record.of("forward-without-grad"):
        return None
    return Finding(
        text="backward reaches no parameter, and an argmax, which has no derivative, goes into "
        "the loss",
        line=lines[0],
        place="loss",
        severity="suspicion",
        evidence=(Evidence("parameters reached by backward", len(record.reached), "all"),),
        prescriptions=(_PRESCRIPTION,),
        confirm="print grad_fn of what the argmax is given and of what it answers",
    )


_WORDS = {"argmax": "argmax", "compare": "a comparison", "cast": "a cast to whole numbers"}


def _cut_finding(cut: Cut, names: set[str], severity: str) -> Finding:
    whole = severity == "fault"
    return Finding(
        text=f"{_WORDS[cut.op]} ends the path between the loss and {len(names)} parameters "
        f"({', '.join(sorted(names)[:2])}{', ...' if len(names) > 2 else ''}): "  # noqa: PLR2004
        "it has no derivative, and they get no gradient",
        line=cut.line,
        place="loss",
        severity="fault" if whole else "suspicion",
        evidence=(
            Evidence("parameters behind it that backward reached", 0, len(names)),
            Evidence("operation", cut.op, "one with a derivative"),
        ),
        prescriptions=(_PRESCRIPTION,),
        confirm="" if whole else "see whether the answer of that line goes into the loss",
    )


_PRESCRIPTION = Prescription(
    "differentiable_loss", "put the loss on the scores before this operation, or a smooth stand-in"
)
