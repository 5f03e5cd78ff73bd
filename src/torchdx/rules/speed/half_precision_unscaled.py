"""half-precision-unscaled (P01): float16 training without a gradient scaler, or with one misused.

## What is seen
Operations of the loss graph work in float16 and nothing multiplies the loss. Beside it stands what
that costs here: the share of gradients below float16's smallest normal number (6.1e-5), where
digits are lost, before they become 0 at 3e-8, the share of parameters whose gradients are all 0,
and infinities. Or there is a scaler, and its calls
are out of order: gradients are clipped while they are still multiplied, the optimizer is stepped
past the scaler, the scaler steps a loss that it never multiplied, `update` is missing.
## Why the net does not learn
Gradients of 1e-6 are common, and float16 has three digits left for them, or none: weights whose
gradient is always 0 stay as they are. Above 65,504 a number is infinite, and so is the next weight.
Clipping multiplied gradients cuts them to a 65,536th of the norm that was meant.
## When this is wrong
bfloat16 needs no scaler and is passed over. Where hardly any gradient is that small, it is a note.
Steps that a scaler skips because of infinities are how it finds its scale; only a long row of them
is told.
## What to try
`scaler.scale(loss).backward()`, `scaler.unscale_(optimizer)` before clipping, then
`scaler.step(optimizer)` and `scaler.update()`; or bfloat16, which needs none of it.
## Sources
Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; PyTorch, "Automatic mixed precision
examples"; PyTorch forum 101080, 75756, 88359.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule
from torchdx.rules.first_nonfinite import FirstNonFinite

# Of gradients that are not 0, the share below 2^-14. Where half of them lie there, the median
# gradient has lost digits; one in twenty is a choice, for where it begins to be worth a word.
SOME, MOST = 0.05, 0.5

_COUNTED = ("elements", "zero", "small", "nonfinite", "lost", "parameters")
_SCALED = Prescription(
    "grad_scaler", "scale the loss with `torch.amp.GradScaler`, or use bfloat16", where="loss"
)
_MISUSES = {
    "clipped-scaled": (
        "gradients are clipped while they are still multiplied by the scaler's scale",
        "call `scaler.unscale_(optimizer)` before clipping",
    ),
    "loss-not-scaled": (
        "`scaler.step` divides by the scale gradients of a loss that was never multiplied by it",
        "call backward on `scaler.scale(loss)`",
    ),
    "scaler-passed-by": (
        "the optimizer is stepped itself, with gradients that are multiplied by the scaler's scale",
        "step with `scaler.step(optimizer)`",
    ),
    "no-update": (
        "`scaler.update` is never called: the scale never changes, and the second step fails",
        "call `scaler.update()` after `scaler.step(optimizer)`",
    ),
    "half-weights": (
        "the weights themselves are float16, which a scaler cannot work with",
        "keep the weights in float32 and let `torch.autocast` choose float16 in the forward",
    ),
    "stuck": (
        "the scaler has skipped the last {in_row} steps, all of them: a gradient is never finite",
        "find the operation whose gradient is not finite",
    ),
}


@rule("P01", "half-precision-unscaled")
def check(record: Record) -> Iterator[Answer]:
    """One finding for each way in which a scaler is misused; else for its absence."""
    misuses = [e for e in record.of("scaler-misuse") if e.facts["misuse"] in _MISUSES]
    for event in misuses:
        yield _misused(record, event)
    looks = record.of("half-gradients")
    if looks and not misuses:
        yield _unscaled(record, looks)


def _misused(record: Record, event: Event) -> Finding:
    misuse = event.facts["misuse"]
    text, cure = _MISUSES[misuse]
    mild = misuse == "clipped-scaled" and _scale_free(record)
    return Finding(
        text=text.format(in_row=event.facts.get("in_row", 0)),
        line=event.line,
        place="scaler",
        severity="suspicion" if mild else "fault",
        confirm="whether the loss falls faster once gradients are unscaled first" if mild else "",
        evidence=(Evidence("order of the scaler's calls", misuse),),
        prescriptions=(Prescription("scaler_order", cure, where="scaler"),),
    )


def _scale_free(record: Record) -> bool:
    """Whether every optimizer divides by the gradient's size, so that a constant factor is lost."""
    return all(optimizer.scale_free for optimizer in record.optimizers.values())


def _unscaled(record: Record, looks: list[Event]) -> Finding:
    total = {key: sum(e.facts[key] for e in looks) for key in _COUNTED}
    there = total["elements"] - total["zero"]
    share = total["small"] / there if there else 1.0
    lost = total["lost"] / max(1, total["parameters"])
    infinite = total["nonfinite"]
    first = FirstNonFinite.of(record)
    overflowed = first is not None and bool(first.facts["half"]) and not first.facts["scaled"]
    overflowed = overflowed and (first is None or not first.words or first.facts["overflow"])
    severity = _severity(max(share, lost))
    text = "float16 is trained without a gradient scaler: "
    if lost >= MOST:
        text += f"in {lost:.0%} of the parameters that were looked at all gradients are exactly 0"
    else:
        text += f"{share:.0%} of its gradients that are not 0 lie below 6.1e-05, where float16 "
        text += "loses digits"
    if overflowed or infinite:
        severity = "fault"
        text += _broken(first)
    worst = max(looks, key=lambda e: e.facts["worst"])
    return Finding(
        text=text,
        line=_line(record, first if overflowed else None),
        place=worst.facts["place"] or "loss",
        severity=severity,
        confidence="certain" if overflowed or infinite else "strong" if severity == "fault" else "",
        confirm="" if severity != "suspicion" else "whether float32 or bfloat16 learns more",
        evidence=(
            Evidence("gradients below 2^-14, of those that are not 0", round(share, 3), SOME),
            Evidence("gradients that are 0", round(total["zero"] / total["elements"], 3)),
            Evidence("parameters of which all gradients are 0", round(lost, 3), MOST),
            Evidence("gradients that are not finite", infinite, 0),
        ),
        prescriptions=(_SCALED,),
    )


def _severity(share: float) -> Severity:
    return "note" if share < SOME else "suspicion" if share < MOST else "fault"


def _broken(first: FirstNonFinite | None) -> str:
    if first is None:
        return ", and some are infinite or NaN"
    if first.where == "update":
        return f"; {first.when} weights are NaN after the update (Adam's eps of 1e-8 is 0 there)"
    return f"; {first.when} values beyond 65,504 have become infinite"


def _line(record: Record, first: FirstNonFinite | None) -> Line | None:
    """Where it overflowed, or where backward is called on a loss in float16."""
    if first is not None and first.line is not None:
        return first.line
    graphs = (g for g in record.graphs.values() if any(n.dtype == "float16" for n in g.nodes))
    return next((graph.backward for graph in graphs), None)
