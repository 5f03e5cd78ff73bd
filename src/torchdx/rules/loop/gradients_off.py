"""gradients-off (T01): the optimizer steps, and no gradient was ever computed.

## What is seen
Either the optimizer stepped several times without any backward pass, and none of its parameters
had a gradient at any step that was looked at; or `backward` was called on a tensor without
history, and every forward of the model until then had run with gradients switched off.
## Why the net does not learn
Under `torch.no_grad` nothing is recorded that could be gone back through; and without `backward`
there is nothing to step along. An optimizer leaves parameters without a gradient as they are.
`loss.requires_grad_()` silences the error that torch raises, and mends nothing.
## When this is wrong
Programs that set `.grad` themselves, or ask `torch.autograd.grad` for it, have gradients at their
steps and are passed over.
## What to try
Call `loss.backward()` before `optimizer.step()`; keep `torch.no_grad()` to the validation.
## Sources
"Debugging deep learning" threads of the PyTorch forum ("element 0 of tensors does not require
grad"); `torch.no_grad`.
"""

from collections.abc import Iterator

from torchdx.graph.model import Line
from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

STEPS = 3  # the first step of a program may be a dry one (warming an optimizer or a scheduler up)


@rule("T01", "gradients-off", silences="L17 L18 A09 O03 O09 T02 T03")
def check(record: Record) -> Iterator[Answer]:
    """No backward at all, or one that finds nothing to go back through."""
    if record.backwards == 0:
        yield from _no_backward(record)
    elif bare := record.of("bare-root"):
        yield from _nothing_recorded(record, bare[0])


def _no_backward(record: Record) -> Iterator[Answer]:
    held = {look.parameters for look in record.looks}
    empty = all(look.none == look.parameters for look in record.looks)
    asked = any(shape.count("grad") for shape in record.shapes.values())
    if record.steps < STEPS or not empty or asked or not any(held):
        return
    look = record.looks[-1]
    optimizer = record.optimizers[look.optimizer]
    yield Finding(
        text=f"the {optimizer.cls} optimizer stepped {optimizer.steps} times and backward was "
        f"never "
        f"called: none of its {look.parameters} parameters had a gradient, and none changed",
        line=look.line,
        place="run",
        evidence=(
            Evidence("backward passes", 0, optimizer.steps),
            Evidence("parameters with a gradient when it stepped", 0, look.parameters),
        ),
        prescriptions=(Prescription("backward", "call loss.backward() before optimizer.step()"),),
    )


def _nothing_recorded(record: Record, bare: Event) -> Iterator[Answer]:
    blind = [e for e in record.of("forward-without-grad") if record.learns(e.facts["model"])]
    blind = [e for e in blind if e.facts["model"] not in record.called]
    if not blind or record.reached & record.optimized:
        return
    model = blind[0].facts["model"] or "the model"
    line: Line | None = blind[0].line or bare.line
    yield Finding(
        text=f"{model} ran with gradients switched off (torch.no_grad or the like) at each of "
        f"its training "
        f"forwards, so that backward has nothing to go back through: no parameter gets a gradient",
        line=line,
        place="run",
        evidence=(
            Evidence(
                "forwards in training mode without gradients, in the first steps", len(blind), 0
            ),
            Evidence("parameters reached by a backward pass", 0, len(record.optimized)),
        ),
        prescriptions=(
            Prescription(
                "grad_mode",
                "run the training forward outside torch.no_grad(), and take "
                "loss.requires_grad_() away",
            ),
        ),
    )
