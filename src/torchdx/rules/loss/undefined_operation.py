"""undefined-operation (L19): an operation is used where it, or its derivative, is not defined.

## What is seen
The first value of the run that is not finite, and the operation that made it from finite inputs:
the logarithm of 0, a division by 0, the mean of nothing, a softmax of which all is masked, an
exponential that is too large for the type. Or the loss is finite and its gradient is not: the
operation nearest to the loss whose derivative does not exist where it was taken (the square root at
0, the logarithm at 0 behind a `torch.where`, the arc cosine at 1). Values are those that autograd
kept in that very step.
## Why the net does not learn
One such element makes the gradient of every weight below it NaN or infinite, and the next step
makes the weights so. `torch.where` and multiplication by 0 hide a value, not its derivative:
0 times infinity is NaN.
## When this is wrong
The loss had grown before: then the values were driven there, and the finding is a suspicion, or,
for an overflow, none; the step size or the depth of the net is what to look at. Masks of -inf
before a softmax are no values of this kind, nor are steps that a gradient scaler skips.
## What to try
Use the form that is stable by construction (`log_softmax`, `cross_entropy`, `logsumexp`,
`binary_cross_entropy_with_logits`); add a small constant inside a root, a logarithm or a
denominator; choose the values before the operation, not after it.
## Sources
Stack Overflow 40192728 (log of a softmax that is 0); PyTorch forum on NaN gradients behind
`torch.where`; IEEE 754 for what is 0 / 0.
"""

from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Unclear, rule
from torchdx.rules.first_nonfinite import FirstNonFinite

_INSTEAD = (
    ("label whose probability", "mask no class that is a label; take `log_softmax` of the scores"),
    (
        "logarithm",
        "take `log_softmax` or `logsigmoid` of the scores, or clamp before the logarithm",
    ),
    ("log1p", "clamp the value above -1 before it"),
    ("square root", "add a small constant inside the root: `(x + eps).sqrt()`"),
    ("root at 0", "add a small constant inside the power"),
    ("mean of no", "skip batches in which nothing is chosen, or divide by `max(count, 1)`"),
    ("mean of a loss over no", "skip batches without labels: the mean over none is 0 / 0"),
    ("spread of a single", "take the spread over more than one row, or with `correction=0`"),
    ("division", "add a small constant to the denominator, or choose where it is not 0 before"),
    ("0 / 0", "add a small constant to the denominator, or choose where it is not 0 before"),
    ("masked", "leave at least one entry of every row unmasked, or drop such rows"),
    ("exponential", "subtract the maximum first (`logsumexp`, `softmax`), or bound the exponent"),
    ("CTC", "drop targets that are longer than their input, or give `zero_infinity=True`"),
    ("arc", "clamp the cosine to within 1 - 1e-6"),
)


@rule("L19", "undefined-operation")
def check(record: Record) -> Iterator[Answer]:
    """One finding, or why the operation is not known."""
    first = FirstNonFinite.of(record)
    if first is None or first.where in {"data", "update"}:
        return
    if first.words and not _driven(first):
        yield _finding(first)
    elif not first.words and not (first.grown or first.facts["half"] or first.facts["scaled"]):
        yield Unclear(because=_unknown(first))


def _driven(first: FirstNonFinite) -> bool:
    """Whether it is an overflow of what was growing, or of float16's narrow range."""
    return bool(first.facts["overflow"]) and (first.grown or bool(first.facts["half"]))


def _unknown(first: FirstNonFinite) -> str:
    if first.where == "weights":
        return "weights were not finite before the first step"
    if first.facts["opaque"]:
        return f"{first.became} {first.when}, and {first.facts['opaque']}"
    if first.op:
        entered = " (something that is not finite enters there)" * (first.facts["inputs"] is False)
        return f"{first.became} {first.when}, first seen behind {first.op}{entered}"
    return f"{first.became} {first.when}, and no operation with a known singular point explains it"


def _finding(first: FirstNonFinite) -> Finding:
    facts = first.facts
    sure = not first.grown and not facts["overflow"] and facts["inputs"] is not False
    text = f"{first.words} ({_share(facts)}): {first.became} {first.when}"
    if facts.get("masked") and first.where == "backward":
        text += "; a mask hides the value from the loss, but not its derivative"
    if first.grown:
        text += "; the loss or the weights had grown before"
    evidence = [Evidence("elements at which it is not defined", facts["count"], 0)]
    if facts["low"] is not None:
        extent = f"{facts['low']:.3g} to {facts['high']:.3g}"
        evidence.append(Evidence("finite values there", extent))
    if facts.get("affected"):
        reached = f"of {facts['reached']} reached"
        evidence.append(
            Evidence("parameters that have no finite gradient", facts["affected"], reached)
        )
    return Finding(
        text=text,
        line=first.line,
        place=str(facts.get("place") or "loss"),
        severity="fault" if sure else "suspicion",
        confirm="" if sure else "whether it still happens at a tenth of the learning rate",
        evidence=tuple(evidence),
        prescriptions=(Prescription("stable_operation", _instead(first.words), where=first.op),),
    )


def _share(facts: dict[str, object]) -> str:
    if facts["of"] == 1:
        return str(facts["op"])
    return f"{facts['op']}, {facts['count']} of {facts['of']} elements"


def _instead(words: str) -> str:
    return next(
        (text for key, text in _INSTEAD if key in words), "keep its inputs where it is defined"
    )
