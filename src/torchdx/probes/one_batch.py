"""Tries to fit one batch on the copy, and asks what can be told of its rows without the model."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from torchdx.graph import heads
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.stand_in import StandIn, measured, standing_in
from torchdx.probes.subject import Subject

STEPS = 300
RATES = (1e-2, 1e-3, 1e-1)  # of Adam: the usual one, and ten times less and more
FITTED = 0.05  # of what is left of the loss that needs no inputs
LIMIT_S = 5.0
_LOOK = 10  # steps between two looks at the loss
_STALLED = 10  # looks without a gain of 1 in 100
_ROUNDING = 1e-6  # of 32 bits: eight units in the last place
_CONTROL_ROWS = range(32, 1025)  # fewer tell little; more make a large matrix


@dataclass(frozen=True)
class OneBatch:
    """How well a batch can be fitted: dropout off, batch norms on this batch's statistics.

    head       kind of loss: `classes`, `soft`, `units` or `values`
    reference  the loss that needs no inputs: label entropy, or variance of the targets (mean per
               row); `start` the model's, `best` the lowest reached; all without what no model can
               fit (the entropy of soft targets)
    fitted     whether `best` is within `FITTED` of nothing; `rate` and `steps` that led to it
    anew       whether weights drawn anew were tried too
    gradient   norm of the loss's gradient at the start
    score      of the model as it is: share of rows right, or share of the variance explained
    best_score of the model at its best
    control    the same score of a kernel regression which, for each row, has only seen the other
               rows of this batch; None where inputs are not real numbers, or rows too few
    """

    head: str
    rows: int
    outputs: int
    reference: float
    start: float
    best: float
    fitted: bool
    rate: float
    steps: int
    anew: bool
    gradient: float
    score: float
    best_score: float
    control: float | None


@measured
def one_batch(subject: Subject, *, limit_s: float = LIMIT_S, only_behind: bool = False) -> OneBatch:
    """Up to `STEPS` steps of Adam at each of `RATES`, from the weights as they are and from others.

    A rate ends when it stalls; the first that fits ends all. With `only_behind` nothing is fitted
    where the model as it is does better than the kernel regression. `limit_s` is of this thread.
    """
    ends = time.thread_time() + limit_s
    with standing_in(subject) as double:
        double.set_mode("batch statistics")
        head = _head(double)
        reference, start, score = _reference(head), _left(head), _score(head)
        if reference <= _rounding(head):
            raise CannotMeasure("all rows of the batch have the same target")
        control = _control(double, head)
        if only_behind and (control is None or control <= score):
            raise CannotMeasure("nothing shows that the rows of this batch tell more")
        fitting = _Fitting(double, reference, start, score)
        gradient = _gradient(double, fitting.weights)
        starts = [_values(fitting.weights), *_anew(double.model, fitting.weights)]
        for rate, begin in ((r, b) for r in RATES for b in starts):
            if not fitting.fitted:
                fitting.run(begin, rate, ends)
        return OneBatch(
            head=head.kind,
            rows=len(head.given),
            outputs=head.given.shape[1],
            reference=reference,
            start=start,
            best=fitting.loss,
            fitted=fitting.fitted,
            rate=fitting.rate,
            steps=fitting.steps,
            anew=len(starts) > 1,
            gradient=float(torch.stack([g.norm() for g in gradient]).norm()),
            score=score,
            best_score=fitting.score,
            control=control,
        )


def _values(weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [w.detach().clone() for w in weights]


def _anew(model: nn.Module, weights: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Weights drawn anew, where every part that holds weights can draw its own."""
    holders = [m for m in model.modules() if next(m.parameters(recurse=False), None) is not None]
    if all(callable(getattr(m, "reset_parameters", None)) for m in holders):
        for module in holders:
            module.reset_parameters()  # type: ignore[operator]
        yield _values(weights)


class _Fitting:
    """Runs of Adam on one batch, and the best of them: `loss`, `score`, `rate`, `steps`."""

    def __init__(self, double: StandIn, reference: float, loss: float, score: float) -> None:
        self._double, self._reference = double, reference
        self.weights = [p for p in double.model.parameters() if p.requires_grad]
        self.loss, self.score, self.rate, self.steps = loss, score, 0.0, 0

    @property
    def fitted(self) -> bool:
        return self.loss <= FITTED * self._reference

    def run(self, begin: list[torch.Tensor], rate: float, ends: float) -> None:
        """One run from some weights, until it fits, stalls or diverges."""
        with torch.no_grad():
            for weight, value in zip(self.weights, begin, strict=True):
                weight.copy_(value)
        adam, lowest, stalled = _Adam(self.weights, rate), math.inf, 0
        for step in range(1, STEPS + 1):
            if time.thread_time() > ends:
                raise CannotMeasure("fitting one batch took longer than its limit")
            adam.step(_gradient(self._double, self.weights))
            if step % _LOOK:
                continue
            left = self._look(rate, step)
            stalled = 0 if left < lowest - 0.01 * self._reference else stalled + 1
            lowest = min(lowest, left)
            if self.fitted or stalled >= _STALLED or math.isnan(left):
                return

    def _look(self, rate: float, step: int) -> float:
        head = _head(self._double)
        left = _left(head)
        if left < self.loss:
            self.loss, self.score, self.rate, self.steps = left, _score(head), rate, step
        return left


class _Adam:
    """Kingma & Ba 2015, algorithm 1; torch's own would call the hooks of all optimizers."""

    def __init__(self, weights: Sequence[torch.Tensor], rate: float) -> None:
        self._weights, self._rate, self._steps = weights, rate, 0
        self._first = [torch.zeros_like(w) for w in weights]
        self._second = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, gradient: list[torch.Tensor]) -> None:
        self._steps += 1
        fade1, fade2 = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for w, g, m, v in zip(self._weights, gradient, self._first, self._second, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g.conj(), value=0.001)
            w.addcdiv_(m / fade1, (v / fade2).sqrt() + 1e-8, value=-self._rate)


def _gradient(double: StandIn, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    loss = double.loss_of(double.answer(gradients=True))
    return list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))


def _head(double: StandIn) -> heads.Head:
    head = heads.read(double.loss_of(double.answer(gradients=True)))
    if head is None or (head.kind == "classes" and not head.normal):
        raise CannotMeasure("the loss is of no kind whose level without inputs is known")
    return head


def _left(head: heads.Head) -> float:
    """The loss per row that a model could still lose."""
    return float(_losses(head, head.given).mean())


def _losses(head: heads.Head, given: torch.Tensor) -> torch.Tensor:
    wanted = head.target
    if head.kind == "classes":
        return functional.nll_loss(given, wanted, reduction="none")
    if head.kind == "soft":
        return functional.kl_div(given, wanted, reduction="none").sum(1)
    if head.kind == "units":
        given, wanted = given.clamp(1e-7, 1 - 1e-7), wanted.clamp(0, 1)
        least = functional.binary_cross_entropy(wanted, wanted, reduction="none")
        return functional.binary_cross_entropy(given, wanted, reduction="none") - least
    return (given - wanted) ** 2


def _reference(head: heads.Head) -> float:
    """The same for the best answer that does not look at the inputs."""
    wanted = head.target
    if head.kind == "classes":
        shares = torch.bincount(wanted, minlength=head.given.shape[1]).float() / len(wanted)
        shares = shares.clamp_min(1e-12).log()
    else:
        shares = wanted.mean(0)
        shares = shares.clamp_min(1e-12).log() if head.kind == "soft" else shares
    return float(_losses(head, shares.expand_as(head.given)).mean())


def _rounding(head: heads.Head) -> float:
    """What a mean of equal targets may be beside them, in the unit of the loss per row."""
    if head.kind != "values":
        return _ROUNDING
    return _ROUNDING**2 * float((head.target**2).mean())


def _score(head: heads.Head, given: torch.Tensor | None = None) -> float:
    """The share of rows right; of the variance explained, for values."""
    given, wanted = head.given if given is None else given, head.target
    if head.kind == "classes":
        return float((given.argmax(1) == wanted).float().mean())
    if head.kind == "soft":
        return float((given.argmax(1) == wanted.argmax(1)).float().mean())
    if head.kind == "units":
        return float(((given > 0.5) == (wanted > 0.5)).float().mean())  # noqa: PLR2004  # yes or no
    around = _reference(head)
    return 1 - float(((given - wanted) ** 2).mean()) / around if around > _rounding(head) else 0.0


def _control(double: StandIn, head: heads.Head) -> float | None:
    """The score of a kernel regression, each row predicted from the others.

    Gaussian kernel as wide as the median distance, a ridge of 0.1; leaving one row out has a closed
    form (Rasmussen & Williams 2006, section 5.4.2).
    """
    given = next((g.was for g in double.given if g.was.is_floating_point() and not g.target), None)
    rows = len(head.target)
    if given is None or given.dim() < 2 or len(given) != rows or rows not in _CONTROL_ROWS:  # noqa: PLR2004
        return None
    x, y = given.reshape(rows, -1).double(), head.target.double()
    if head.kind == "classes":
        y = functional.one_hot(head.target, head.given.shape[1]).double()
    x = (x - x.mean(0)) / x.std(0).clamp_min(1e-12)
    mean = y.mean(0)
    apart = torch.cdist(x, x)
    width = apart[apart > 0].median() if bool((apart > 0).any()) else apart.new_ones(())
    kernel = torch.exp(-0.5 * (apart / width) ** 2)
    inverse = torch.linalg.inv(kernel + 0.1 * torch.eye(rows, dtype=x.dtype, device=x.device))
    left_out = y - (inverse @ (y - mean)) / inverse.diagonal()[:, None]
    return _score(head, left_out.to(head.given))
