"""validating-in-train-mode (N04): the model is judged with dropout and batch norm in training mode.

## What is seen
A whole pass over a data loader in which the model answered, nothing was learnt, and dropout or
batch-norm modules were in training mode; nothing had put the model into training mode since the
last training step. Without a data loader: the same rows were given to the model again and again,
in stretches without gradients that stand some training steps apart.
## Why the net does not learn
It learns, but is not seen as it is. Dropout makes the figures noisy and too low. Batch norm
normalises each batch by itself, so that figures depend on the batch size, and takes the held-out
rows into its running statistics: they leak into the model.
## When this is wrong
Passed over: Monte-Carlo dropout (the same rows twice running, or passes over the same data with no
training between), renewal of batch-norm statistics (`update_bn`; `train()` was called just before),
forwards that recur at every step (generators, teachers, rollouts), and models that are not trained.
A sample drawn now and then from a fixed start, with dropout on purpose, looks the same as a
validation; without a data loader it is therefore a suspicion only.
## What to try
Call `model.eval()` before the validation, and `model.train()` after it.
## Sources
PyTorch forum 100222 and 113423; Gal & Ghahramani 2016 for dropout that stays on by intention;
`torch.optim.swa_utils.update_bn`.
"""

from collections.abc import Iterator
from itertools import pairwise

from torchdx.record.model import Phase, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

APART = 2  # backward passes between stretches: what recurs at every step belongs to the training
TIMES = 2  # the same rows, judged again


@rule("N04", "validating-in-train-mode")
def check(record: Record) -> Iterator[Answer]:
    """One finding, for passes over loaders before other stretches."""
    awake = [phase for phase in record.phases if _judged_awake(record, phase)]
    passes = [phase for phase in awake if phase.loader and _a_validation(record, phase)]
    if passes:
        yield _of_passes(record, passes[0], [p for p in awake if p.loader == passes[0].loader])
        return
    stretches = _of_same_rows([phase for phase in awake if not phase.loader])
    if stretches and len(_learners(record)) == 1:
        yield _of_stretches(stretches)


def _judged_awake(record: Record, phase: Phase) -> bool:
    """Whether a model that learns was called in training mode, and nothing asked for that."""
    answered = phase.validation and bool(phase.training) and phase.active > 0
    return (
        answered
        and phase.at > 0
        and not phase.chosen
        and not phase.repeated
        and record.learns(phase.model)
    )


def _a_validation(record: Record, phase: Phase) -> bool:
    """A whole pass, apart from training, once."""
    if not phase.complete or phase.during:
        return False
    if not phase.no_grad and phase.batches == 1:  # might be half of a step with two loaders
        return False
    same = [p for p in record.phases if (p.loader, p.at) == (phase.loader, phase.at)]
    return len(same) == 1


def _of_same_rows(stretches: list[Phase]) -> list[Phase]:
    """The first of the stretches that saw the same rows, some training apart."""
    by_rows: dict[tuple[int, object], list[Phase]] = {}
    for phase in stretches:
        if phase.inputs:
            by_rows.setdefault((phase.inputs, phase.line), []).append(phase)
    for found in by_rows.values():
        gaps = [b.at - a.at for a, b in pairwise(found)]
        if len(found) >= TIMES and all(gap >= APART for gap in gaps):
            return found
    return []


def _learners(record: Record) -> set[int]:
    """The models of which some optimizer holds parameters: two may play against each other."""
    held = record.optimized
    return {model.id for model in record.models if not held.isdisjoint(model.parameters)}


def _of_passes(record: Record, first: Phase, passes: list[Phase]) -> Finding:
    checked = [p for p in record.phases if p.validation and p.loader == first.loader]
    modules = _modules(first)
    return Finding(
        text=f"in {len(passes)} of {len(checked)} validation passes "
        f"{first.model or 'the model'} stayed in "
        f"training mode, with {modules} at work: the figures are not those of the model as it "
        f"will be used",
        line=first.line,
        place=first.model,
        evidence=(
            Evidence("validation passes in training mode", len(passes), 0),
            Evidence("dropout and batch-norm modules in training mode", first.active, 0),
        ),
        prescriptions=(_prescription(first),),
    )


def _of_stretches(stretches: list[Phase]) -> Finding:
    first = stretches[0]
    return Finding(
        text=f"{first.model or 'the model'} was given the same rows without gradients "
        f"{len(stretches)} times "
        f"between training steps, in training mode, with {_modules(first)} at work",
        line=first.line,
        place=first.model,
        severity="suspicion",
        confirm="if these rows are a validation, its figures change when model.eval() is "
        "called before it",
        evidence=(
            Evidence("stretches with the same rows, in training mode", len(stretches), 0),
            Evidence("dropout and batch-norm modules in training mode", first.active, 0),
        ),
        prescriptions=(_prescription(first),),
    )


def _modules(phase: Phase) -> str:
    return (
        "1 dropout or batch-norm module"
        if phase.active == 1
        else f"{phase.active} dropout and batch-norm modules"
    )


def _prescription(phase: Phase) -> Prescription:
    text = "call model.eval() before the validation and model.train() after it"
    return Prescription("eval_mode", text, where=phase.model, to="eval")
