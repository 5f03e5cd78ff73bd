"""Holds the loss of an untrained model against what it can know without inputs."""

from dataclasses import dataclass
from math import log

import torch

from torchdx.graph import heads
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.stand_in import measured, standing_in
from torchdx.probes.subject import Subject


@dataclass(frozen=True)
class Initial:
    """The loss of one batch beside two that need no inputs; means over its rows.

    head     kind of loss: `classes`, `soft`, `units` or `values`
    rows, outputs   of the model's answer
    loss     cross-entropy (nats), or mean squared error for `values`
    chance   of the same share for each class: log C; log 2 for units; None for values
    prior    of always answering with the shares of this batch: its label entropy, or the variance
             of its targets
    spread   standard deviation over the rows of what is answered: log-probabilities, probabilities
             or values
    """

    head: str
    rows: int
    outputs: int
    loss: float
    chance: float | None
    prior: float
    spread: float


@measured
def initial(subject: Subject) -> Initial:
    """Loss against chance and prior; one forward.

    The head is that of a loss which torch computes in one operation, or of a cross-entropy with
    soft targets; see `torchdx.graph.heads`.
    """
    with standing_in(subject) as double:
        double.set_mode("observed")
        root = double.loss_of(double.answer(gradients=True))
        head = heads.read(root)
        if head is None:
            raise CannotMeasure("the loss is of no kind whose chance level is known")
        given, target = head.given, head.target
        rows, outputs = given.shape
        spread = float(given.double().std(0, unbiased=False).mean())
        return Initial(head.kind, rows, outputs, *_levels(head.kind, given, target), spread)


def _levels(
    kind: heads.Kind, given: torch.Tensor, target: torch.Tensor
) -> tuple[float, float | None, float]:
    """Loss, chance and prior."""
    given, wanted = given.double(), target.double()
    if kind == "values":
        return _mean((given - wanted) ** 2), None, _mean((wanted - wanted.mean(0)) ** 2)
    if kind == "units":
        loss = -(wanted * _log(given) + (1 - wanted) * _log(1 - given))
        return _mean(loss), log(2), _mean(_entropy(wanted.mean(0)) + _entropy(1 - wanted.mean(0)))
    outputs = given.shape[1]
    if kind == "classes":
        wanted = torch.nn.functional.one_hot(target, outputs).double()
    loss = -(given * wanted).sum(1)
    return _mean(loss), log(outputs), float(_entropy(wanted.mean(0)).sum())


def _mean(values: torch.Tensor) -> float:
    return float(values.mean())


def _log(share: torch.Tensor) -> torch.Tensor:
    return share.clamp_min(1e-12).log()


def _entropy(share: torch.Tensor) -> torch.Tensor:
    """The terms of an entropy, in nats."""
    return -share * _log(share)
