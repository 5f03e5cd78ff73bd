"""training-in-eval-mode (N03): the model is in evaluation mode while it learns.

## What is seen
The mode of a model at forwards that an optimizer step went back through: the whole model, and all
of its dropout and batch-norm modules, were in evaluation mode. Either it had learnt in training
mode before (a validation called `eval()` and nothing called `train()` after it), or it never did
although all of its parameters are trained.
## Why the net does not learn
It does, but not as written: dropout drops nothing, and batch norm takes running statistics that no
longer follow the batches, so that gradients are those of a network with constants in place of
normalisation. With statistics from early training, or those of initialisation, this can diverge.
## When this is wrong
Batch norms in evaluation mode within a model in training mode, a frozen backbone whose head is in
training mode, and models that are partly frozen and never were in training mode are passed over:
they are meant. A whole model that is trained in evaluation mode on purpose cannot be told apart.
## What to try
Call `model.train()` at the start of every epoch, inside the loop.
## Sources
PyTorch forum 105009; `torch.nn.Module.eval`; `from_pretrained` of Transformers, which returns
models in evaluation mode.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

STEPS = 3  # a single odd step (a forward for something else) is no habit


@rule("N03", "training-in-eval-mode")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model."""
    modes: dict[str, list[Event]] = {}
    for event in record.of("learning-mode"):
        modes.setdefault(event.facts["model"], []).append(event)
    for model, events in modes.items():
        for before, event, after in zip([None, *events], events, [*events[1:], None], strict=False):
            steps = _steps(record, event, after)
            if not _asleep(event) or steps < STEPS:
                continue
            awake = _awake_before(event, events)
            if awake is None and (event.facts["frozen"] or _others_train(record, event)):
                continue
            yield _finding(
                record, model, event, steps, forgotten=awake is not None and before is not None
            )
            return


def _asleep(event: Event) -> bool:
    facts = event.facts
    return not facts["training"] and facts["active"] == 0 and facts["idle"] > 0


def _steps(record: Record, event: Event, after: Event | None) -> int:
    """How many steps were done in this mode."""
    optimizer = record.optimizers[event.facts["optimizer"]]
    end = optimizer.steps if after is None else after.facts["steps"] - 1
    return int(end - event.facts["steps"] + 1)


def _awake_before(event: Event, events: list[Event]) -> Event | None:
    """When the same parameters last learnt in training mode."""
    earlier = [e for e in events if e.facts["steps"] < event.facts["steps"]]
    same = [
        e for e in earlier if e.facts["training"] and e.facts["frozen"] == event.facts["frozen"]
    ]
    return same[-1] if same else None


def _others_train(record: Record, event: Event) -> bool:
    """Whether another model that the same optimizer holds learns in training mode."""
    others = (e for e in record.of("learning-mode") if e.facts["model"] != event.facts["model"])
    return any(
        e.facts["training"] and e.facts["optimizer"] == event.facts["optimizer"] for e in others
    )


def _finding(record: Record, model: str, event: Event, steps: int, *, forgotten: bool) -> Finding:
    total = record.optimizers[event.facts["optimizer"]].steps
    idle = event.facts["idle"]
    name = model or "the model"
    how = (
        f"since step {event.facts['steps']}, after it had learnt in training mode"
        if forgotten
        else "and was never in training mode while it learnt"
    )
    what = (
        "its dropout or batch-norm module"
        if idle == 1
        else f"all {idle} of its dropout and batch-norm modules"
    )
    return Finding(
        text=f"{name} was in evaluation mode for {steps} of {total} optimizer steps, {how}: "
        f"{what} did not work as in training",
        line=_eval_line(record, model, event) or event.line,
        place=model,
        evidence=(
            Evidence("optimizer steps in evaluation mode", steps, total),
            Evidence("dropout and batch-norm modules in training mode", 0, idle),
        ),
        prescriptions=(
            Prescription(
                "train_mode",
                "call model.train() at the start of every epoch",
                where=model,
                to="train",
            ),
        ),
    )


def _eval_line(record: Record, model: str, event: Event) -> Line | None:
    """Where the program had put the model into evaluation mode before that."""
    lines = [
        mode.line
        for mode in record.of("mode")
        if mode.facts["model"] == model and not mode.facts["training"] and mode.step <= event.step
    ]
    return lines[-1] if lines else None
