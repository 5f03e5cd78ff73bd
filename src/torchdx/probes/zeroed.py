"""Holds the loss of a batch against that of inputs which tell nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from torchdx.probes.errors import CannotMeasure
from torchdx.probes.stand_in import StandIn, difference, measured, standing_in
from torchdx.probes.subject import Subject, tensors_at

MANY = 2  # distinct integers beyond which a tensor is no mask


@dataclass(frozen=True)
class Zeroed:
    """Losses in evaluation mode, without the program's factor; None where the loss is not known.

    loss           with the inputs of the batch
    zeroed         with zeros in their place
    exchanged      with the inputs of other rows of the batch: as they are, but of other labels
    answer_change  how far the answers are apart with inputs exchanged, relative to their own
                   size: 0 for a model that does not look at its inputs
    """

    loss: float | None
    zeroed: float | None
    exchanged: float | None
    answer_change: float


@measured
def zeroed(subject: Subject) -> Zeroed:
    """What the inputs of a batch are worth; three forwards.

    Inputs are its tensors of real numbers; where it has none, its integers, but for masks. What the
    forward calls a label or a target is left as it is.
    """
    with standing_in(subject) as double:
        double.set_mode("evaluation")
        inputs = _inputs(double)
        rows = double.rows
        if rows < 2:  # noqa: PLR2004  # nothing to exchange
            raise CannotMeasure("the batch has a single row")
        plain, loss = _ask(double, {})
        _, without = _ask(double, {i: torch.zeros_like(t) for i, t in inputs.items()})
        turned = {i: t.roll(1, 0) if t.dim() and len(t) == rows else t for i, t in inputs.items()}
        other, exchanged = _ask(double, turned)
        return Zeroed(loss, without, exchanged, _change(plain, other))


def _inputs(double: StandIn) -> dict[int, torch.Tensor]:
    """What the model looks at, by position, as it was given."""
    given = {i: g.was for i, g in enumerate(double.given) if not g.target and g.was.numel() > 1}
    real = {i: t for i, t in given.items() if t.is_floating_point() or t.is_complex()}
    whole = {
        i: t for i, t in given.items() if t.dtype != torch.bool and len(torch.unique(t)) > MANY
    }
    if not real and not whole:
        raise CannotMeasure("the model is called with no tensor that could be its input")
    return real or whole


def _ask(double: StandIn, changed: Mapping[int, torch.Tensor]) -> tuple[Any, float | None]:
    answer = double.answer(changed=changed)
    return answer, None if double.subject.loss is None else double.value_of(answer)


def _change(first: Any, second: Any) -> float:
    """How far the first tensors of real numbers with rows are apart."""
    others = dict(tensors_at(second))
    for path, tensor in tensors_at(first):
        if tensor.is_floating_point() and tensor.dim() and path in others:
            return difference(tensor, others[path])
    raise CannotMeasure("the model answers with no real numbers")
