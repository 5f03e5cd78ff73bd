"""output-bias-off-prior (A14): the first phase of training only learns how common classes are.

## What is seen
Classes of very different frequency, an untrained output that takes them for equally likely (or
otherwise far from their shares), and a loss that spends a good part of the run above the entropy of
the shares: what a constant answer reaches.
## Why the net does not learn
The gradient of the output's bias is the largest of all until the shares are met, and hidden layers
learn little that lasts meanwhile: the loss falls like a hockey stick. With plain SGD at a small
rate the first phase may be most of the run.
## When this is wrong
With weighted classes the shares are not what the loss asks for: runs with weights are passed over.
A few steps of it do no harm.
## What to try
Set the output's bias to the logarithm of the class shares (log p/(1-p) for one unit).
## Sources
Karpathy 2019, "A recipe for training neural networks" (initialise well); Lin et al. 2017 (focal
loss, arXiv 1708.02002), section 3.3, on the prior at the output.
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# Excess of the first answer over the entropy of the shares, in units of that entropy: balanced sets
# with default initialisation 0.00 to 0.08, a bias of zero at 12 % positives 1.0, at 3 % 4.3; a bias
# of the wrong sign there 25.
EXCESS = 1.5
# Part of the run above the entropy of the shares: 0.08 in the last case, under 0.01 with the bias
# at the prior.
PHASE = 0.05
ENOUGH_ROWS = 200  # labels from which shares are taken
NEAR = 1.02  # the loss counts as above the entropy while it exceeds it by this factor
LEAST = 20  # measured losses
# Deviation of the first probabilities over the rows: beyond it the answers are not near a constant,
# and weights or inputs are too large.
SPREAD = 0.2


@rule("A14", "output-bias-off-prior", silences="O02")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        shares = _shares(loss)
        if not shares or _weighted(loss):
            continue
        entropy = -sum(p * math.log(p) for p in shares if p > 0)
        excess = _excess(loss, shares)
        series = loss.series(record, "loss.head")
        if not entropy or excess < EXCESS * entropy or len(series) < LEAST:
            continue
        if loss.facts["first"]["spread"] > SPREAD:
            continue
        until = next((step for step, value in series if value <= NEAR * entropy), None)
        phase = 1.0 if until is None else until / record.steps
        if phase >= PHASE:
            yield _finding(loss, shares, entropy, excess, phase)
            return


def _shares(loss: Asked) -> list[float]:
    facts = loss.facts
    counts, rows = facts["counts"], facts["rows"]
    if rows < ENOUGH_ROWS or facts["first"].get("step", 0) > 1:
        return []
    if facts["loss"] == "classes":
        total = sum(counts)
        return [c / total for c in counts] if total else []
    if facts["loss"] == "units" and facts["classes"] == 1 and facts["whole"]:
        yes = min(max(counts[0] / rows, 0.0), 1.0)
        return [1 - yes, yes]
    return []


def _weighted(loss: Asked) -> bool:
    saved = {} if loss.head is None else loss.head.saved
    return "weight" in saved or "pos_weight" in saved


def _bias(loss: Asked) -> str:
    """The name of the bias that the loss is fed by; empty where there is none."""
    graph = loss.graph
    node = None if loss.head is None else graph.source(graph.input(loss.head, 0))
    if node is not None and node.op in {"LogSoftmax", "Sigmoid"}:
        node = graph.source(graph.input(node, 0))
    if node is None or node.op not in {"Addmm", "Convolution"}:
        return ""
    at = 0 if node.op == "Addmm" else 2
    bias = graph.input(node, at)
    return (bias.leaf or "") if bias is not None else ""


def _excess(loss: Asked, shares: list[float]) -> float:
    """What the first mean answer costs beyond the shares themselves, in nats."""
    answer = loss.facts["first"]["answer"]
    if loss.facts["loss"] == "units":
        answer = [1 - answer[0], answer[0]]
    return sum(
        p * math.log(p / max(q, 1e-12)) for p, q in zip(shares, answer, strict=False) if p > 0
    )


def _finding(
    loss: Asked, shares: list[float], entropy: float, excess: float, phase: float
) -> Finding:
    rarest = min(p for p in shares if p > 0)
    return Finding(
        text=f"the untrained output is {excess:.2g} nats from the class shares (rarest "
        f"{rarest:.1%}), and {phase:.0%} of the steps go by before the loss is at their entropy, "
        f"{entropy:.2g}: until then mostly the output's bias is learnt",
        line=loss.line,
        place="loss",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("excess of the first answer, nats", excess, EXCESS * entropy),
            Evidence("share of the steps above the entropy of the shares", phase, PHASE),
        ),
        prescriptions=(
            Prescription(
                "output_bias",
                "start the output's bias at the logarithm of the shares",
                where=_bias(loss),
                to=",".join(f"{share:.4g}" for share in shares),
            ),
        ),
        confirm="with that bias the loss starts at the entropy of the shares",
    )
