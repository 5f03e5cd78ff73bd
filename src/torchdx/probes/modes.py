"""Asks the model for the same batch in training and in evaluation mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from torchdx.probes.layers import Calls, Drawn, NormInput, norm_inputs
from torchdx.probes.stand_in import StandIn, difference, measured, standing_in
from torchdx.probes.subject import Subject, tensors_at


@dataclass(frozen=True)
class Norm:
    """One batch norm in two modes.

    path, cls, momentum   of the module; `seen`: batches that its running statistics come from,
            compared here as they were before this one
    train     what it is given in training mode
    plain     the same with dropout off
    """

    path: str
    cls: str
    momentum: float | None
    seen: int
    train: NormInput
    plain: NormInput


@dataclass(frozen=True)
class Modes:
    """One batch in every mode. Losses are without the program's factor, None where unknown.

    rows              of the batch: the length of its first tensor
    train_loss        as the program trains: mean over two draws of its dropout masks
    batch_loss        in evaluation mode, but batch norms take the statistics of this batch: against
                      `train_loss` it tells what dropout does, against `eval_loss` what running
                      statistics do
    eval_loss         in evaluation mode, with the running statistics from before this batch
    eval_difference   between two answers in evaluation mode, relative; 0: they are the same
    train_difference  between two answers in training mode
    drawn             functions that drew random numbers in evaluation mode
    """

    rows: int
    train_loss: float | None
    batch_loss: float | None
    eval_loss: float | None
    eval_difference: float
    train_difference: float
    drawn: tuple[Drawn, ...]
    norms: tuple[Norm, ...]


@measured
def modes(subject: Subject) -> Modes:
    """Loss and answer of one batch by mode; three to six forwards."""
    with standing_in(subject) as double:
        double.forget_batch()
        double.set_mode("evaluation")
        calls = Calls(double)
        evaluated = double.answers(under=calls)
        double.set_mode("observed")
        under = Calls(double)
        with norm_inputs(double, under) as trained:
            observed = [double.answer(under=under)]
        if double.draws:
            observed.append(double.answer())
        batch_loss, plain = _loss(double, observed[:1]), trained
        if double.draws:
            double.set_mode("batch statistics")
            under = Calls(double)
            with norm_inputs(double, under) as plain:
                batch_loss = _loss(double, [double.answer(under=under)])
        return Modes(
            rows=double.rows,
            train_loss=_loss(double, observed),
            batch_loss=batch_loss,
            eval_loss=_loss(double, evaluated),
            eval_difference=_apart(*evaluated),
            train_difference=_apart(observed[0], observed[-1]),
            drawn=tuple(calls.drawn) if evaluated[0] is not evaluated[1] else (),
            norms=tuple(_norms(double, trained, plain)),
        )


def _norms(
    double: StandIn, trained: dict[str, NormInput], plain: dict[str, NormInput]
) -> list[Norm]:
    double.rewind()
    found = []
    for norm in double.norms():
        path = double.name(norm)
        if path in trained and path in plain:
            seen = 0 if norm.num_batches_tracked is None else int(norm.num_batches_tracked)
            cls = type(norm).__name__
            found.append(Norm(path, cls, norm.momentum, seen, trained[path], plain[path]))
    return found


def _loss(double: StandIn, answers: Sequence[object]) -> float | None:
    """The mean loss of some answers."""
    if double.subject.loss is None:
        return None
    return fmean(double.value_of(answer) for answer in answers)


def _apart(first: object, second: object) -> float:
    """How far two answers are apart, over all their tensors of real numbers."""
    others = dict(tensors_at(second))
    apart = [
        difference(tensor, others[path])
        for path, tensor in tensors_at(first)
        if path in others and tensor.shape == others[path].shape and _measurable(tensor)
    ]
    return max(apart, default=0.0)


def _measurable(tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and tensor.numel() > 0
