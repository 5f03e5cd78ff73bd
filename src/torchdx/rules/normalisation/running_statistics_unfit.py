"""running-statistics-unfit (N02): the running statistics of batch norm are not those of the data.

## What is seen
The loss of training batches with batch norm's running statistics, as they were before each batch,
far above that of the same batches with their own statistics, dropout being off in both: at the last
two probes at least a fifth of what had been learnt is lost, or half of it at the only one. Or a
momentum of 0.9 and more, with which the statistics are those of the last small batch alone.
## Why the net does not learn
It does, in training mode. In evaluation every normed layer subtracts and divides by the wrong
numbers, and validation is far worse than training, or jumps about, without overfitting.
## When this is wrong
Early in training running statistics are always behind: the first 40 batches are not counted. A
learning rate so high that the weights outrun any average has the same look, and is to be lowered.
## What to try
`momentum` is the weight of the new batch: 0.1, or 0.01 for small batches (the 0.99 of other
libraries). Or take the statistics anew from some batches before evaluation.
## Sources
Stack Overflow 52279892, 43234667; documentation of `torch.nn.BatchNorm1d` on `momentum`; Wu &
Johnson 2021 (rethinking "batch" in BatchNorm), section 3 (precise statistics); docs/limits.md, N02.
"""

from collections.abc import Iterator
from statistics import fmean

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.normalisation.norms import History, histories

# Limits: docs/limits.md, N02.
SEEN = 40  # batches: with a momentum of 0.1 the beginning then weighs 1.5%
PROBES = 2  # the last ones; both must show it
LOST = 0.2  # of what had been learnt, in evaluation; healthy programs: 0.06 at most
MOST = 0.5  # twice above this it is no suspicion any more; once, it is one
LAST_ALONE = 0.9  # momentum from which the last batch outweighs all before it nine to one
FEW = 100  # values per channel behind the statistics: their standard error is 10%


@rule("N02", "running-statistics-unfit")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model whose statistics are unfit."""
    norms = list(histories(record))
    for model in dict.fromkeys(event.facts["model"] for event in record.probes("modes")):
        own = [n for n in norms if n.seen[0][0].facts["model"] == model]
        events = [e for e in record.probes("modes") if e.facts["model"] == model]
        answer = _behind(record, own, events) or _of_one_batch(record, own)
        if answer is not None:
            yield answer
            return


def _behind(record: Record, norms: list[History], events: list[Event]) -> Finding | None:
    """The loss in evaluation is far above that with each batch's own statistics."""
    late = [e for e in events if _seen(e) >= SEEN and e.facts["eval_loss"] is not None][-PROBES:]
    first = events[0].facts["train_loss"]
    if not late or not norms or first is None:
        return None
    lost = [_lost(e, first) for e in late]
    if min(lost) < (LOST if len(late) == PROBES else MOST):
        return None
    certain = len(late) == PROBES and min(lost) >= MOST
    norm = max(norms, key=_off)
    last = late[-1].facts
    return Finding(
        text=f"the loss of the same training batch is {last['batch_loss']:.3g} with its own "
        f"statistics and {last['eval_loss']:.3g} with the running ones, after "
        f"{_seen(late[-1])} batches: in evaluation {fmean(lost):.0%} of what was learnt is lost",
        line=record.made(norm.path) or late[-1].line,
        place=norm.path,
        severity="fault" if certain else "suspicion",
        confirm=""
        if certain
        else "with statistics taken anew from some training batches the loss in "
        "evaluation is lower",
        evidence=(
            Evidence("loss in evaluation mode", last["eval_loss"], last["batch_loss"]),
            Evidence(f"running over true variance in {norm.path}", _variance(norm), 1.0),
            Evidence("momentum of the statistics", _momentum(norm), 0.1),
        ),
        prescriptions=(_prescription(norm),),
    )


def _seen(event: Event) -> int:
    return min((int(norm["seen"]) for norm in event.facts["norms"]), default=0)


def _lost(event: Event, first: float) -> float:
    """The share of what had been learnt that is not there in evaluation."""
    own, running = event.facts["batch_loss"], event.facts["eval_loss"]
    learnt = first - own
    return float((running - own) / learnt) if learnt > 0 else 0.0


def _off(norm: History) -> float:
    """How far a norm's running statistics are from those of the last batch seen."""
    plain = norm.seen[-1][1]["plain"]
    ratio = max(plain["off_variance"], 1e-12)
    return float(plain["off_mean"] + abs(ratio - 1) / min(ratio, 1.0))


def _variance(norm: History) -> float:
    return float(norm.seen[-1][1]["plain"]["off_variance"])


def _momentum(norm: History) -> float | str:
    return "cumulative" if norm.momentum is None else norm.momentum


def _of_one_batch(record: Record, norms: list[History]) -> Finding | None:
    """A momentum with which the statistics are those of the last batch, and that is small."""
    for norm in norms:
        momentum = norm.momentum
        if momentum is None or momentum < LAST_ALONE or len(norm.seen) < PROBES:
            continue
        values = norm.per_channel * (2 - momentum) / momentum
        if values <= FEW:
            return _finding_of_one(record, norm, momentum, values)
    return None


def _finding_of_one(record: Record, norm: History, momentum: float, values: float) -> Finding:
    shifts = [seen["plain"]["off_mean"] for _, seen in norm.seen]
    return Finding(
        text=f"{norm.path or norm.cls} has momentum={momentum:g}, the weight of the new batch: its "
        f"running statistics are those of the last {norm.per_channel} values, and differ from the "
        f"next batch's mean by {fmean(shifts):.2f} of its standard deviation",
        line=record.made(norm.path) or norm.seen[-1][0].line,
        place=norm.path,
        severity="suspicion",
        confirm="with momentum=0.1 the loss in evaluation is lower and jumps less",
        evidence=(
            Evidence("momentum of the statistics", momentum, 0.1),
            Evidence("values per channel behind them", round(values), FEW),
        ),
        prescriptions=(_prescription(norm),),
    )


def _prescription(norm: History) -> Prescription:
    if norm.momentum is None or 0.05 <= norm.momentum < LAST_ALONE:  # noqa: PLR2004  # near torch's 0.1
        text = "take the running statistics anew before evaluation, or lower the learning rate"
        return Prescription("recalibrate", text, where=norm.path)
    text = "set momentum=0.1: it is the weight of the new batch, not of the old statistics"
    return Prescription("norm_momentum", text, where=norm.path, to="0.1")
