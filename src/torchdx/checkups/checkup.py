"""`dx.checkup(model, batch, loss_fn)`: thirty questions before training, in seconds.

A copy of the model is trained for a few steps on the batch under the ordinary observer; then the
probes are made, and the rules are asked for what both have seen.
"""

import contextlib
import copy
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.checkups.questions import QUESTIONS, Asked
from torchdx.errors import CallError
from torchdx.events.recorder import Recorder
from torchdx.graph import heads
from torchdx.instruments.probing import tell
from torchdx.observer import Observer, resting
from torchdx.probes.copying import Copy, copied
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.forms import LossFn, arguments, call_of, forms, parts_of, tensors_of
from torchdx.probes.initial import initial
from torchdx.probes.mixing import mixing
from torchdx.probes.modes import modes
from torchdx.probes.one_batch import one_batch
from torchdx.probes.outside import Outside, functions_of
from torchdx.probes.replay import factor_of
from torchdx.probes.restoring import undisturbed
from torchdx.probes.sharpness import sharpness
from torchdx.probes.subject import Subject, rebuild_loss
from torchdx.probes.zeroed import zeroed
from torchdx.record.model import Record
from torchdx.record.writer import Writer
from torchdx.report import checkup as report
from torchdx.report.checkup import Row
from torchdx.rules.base import Finding
from torchdx.rules.ranking import diagnose

STEPS, LEAST = 20, 4  # of training on the copy: what rules of signals ask for, and of structure
STEPS_S = 5.0  # after which the fewest steps are enough
LR = 0.01  # of plain gradient descent, where no optimizer is given
FIT_S = 5.0  # for fitting the batch


@dataclass(frozen=True)
class Checkup:
    """What a checkup has found.

    rows     every question with its outcome, by group
    record   of the few steps, as the rules saw it
    seconds  that it took
    """

    rows: tuple[Row, ...]
    record: Record
    seconds: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules found, in the order of the questions."""
        found = {id(f): f for row in self.rows for f in row.findings}
        return tuple(found.values())

    @property
    def passed(self) -> bool:
        """Whether no question came out as a finding; unclear ones do not count."""
        return all(row.outcome != "finding" for row in self.rows)

    def __str__(self) -> str:
        return report.as_text(self.rows, self.seconds)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return report.as_html(self.rows, self.seconds)


def checkup(
    model: nn.Module, batch: Any, loss_fn: LossFn, optimizer: Optimizer | None = None
) -> Checkup:
    """Ask what can be asked of a model before it is trained.

    Everything happens on a copy: the model, the optimizer, all random states and what the program
    prints are as before, bit for bit.

    Args:
        model: as it would be trained, in training mode.
        batch: one batch as the data loader gives it: a pair of inputs and targets, a mapping, or a
            tensor. 32 rows or more let it say most.
        loss_fn: either `loss_fn(model, batch)`, or `loss_fn(output, target)` for a pair, where the
            output is that of `model(inputs)`. For a mapping the output is that of `model(**batch)`
            and the target its entry `labels` (`label`, `targets`, `target`, `y`), for a tensor the
            tensor itself. Which of the two it is: an `nn.Module` or a function of torch takes
            outputs; one whose first parameter is called `model`, `net`, `module` or `m` takes the
            model; of others the first form that gives a scalar with a gradient is taken.
        optimizer: its class, settings and state are used; without it, plain gradient descent, and
            nothing is asked about the optimizer.

    Returns:
        Rows with `pass`, `finding` or `unclear`.

    Raises:
        CallError: neither form gives a scalar with a gradient, the model cannot be copied, or
            `loss_fn` works with the model by a variable, not by its argument.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> x, y = torch.randn(32, 4), torch.arange(32) % 3
        >>> net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))
        >>> result = checkup(net, (x, y), nn.CrossEntropyLoss())
        >>> [row.question for row in result.rows if row.outcome == "finding"]
        []
    """
    began = time.perf_counter()
    with resting(), tempfile.TemporaryDirectory() as folder:
        try:
            record = _examined(model, batch, loss_fn, optimizer, Path(folder, "checkup.dx"))
        except CannotMeasure as reason:
            msg = f"the model cannot be examined: {reason}."
            raise CallError(msg) from None
    asked = Asked(record, diagnose(record), optimizer=optimizer is not None)
    rows = tuple(row for question in QUESTIONS for row in question.rows(asked))
    return Checkup(rows, record, time.perf_counter() - began)


def _examined(
    model: nn.Module, batch: Any, loss_fn: LossFn, optimizer: Optimizer | None, path: Path
) -> Record:
    """The record of a few steps and all probes."""
    with undisturbed():
        functions = [*functions_of(model), loss_fn]
        outside = Outside(model, functions)
        try:
            double = copied(model, (batch, loss_fn), {}, optimizer)
            observer = Observer(Recorder(Writer(path)))
            _watched(observer, double)
        finally:
            outside.restore()
    return observer.recorder.record


def _watched(observer: Observer, double: Copy) -> None:
    model = double.model
    state = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
    batch, loss_fn = double.args
    asking = _Asking.of(batch, loss_fn, model)
    _put_back(state)
    optimizer = double.optimizer or torch.optim.SGD(_trainable(model), lr=LR)
    observer.start()
    observer.introduce(model, optimizer)
    try:
        _train(model, optimizer, asking)
        _put_back(state)
        with _busy(observer):
            _probe(observer.recorder, asking.subject(model), double.optimizer)
            _measure(observer.recorder, asking, model)
    except Exception as error:
        msg = f"the loss cannot be computed on one batch again and again: {_told(error)}"
        raise CallError(msg) from error
    finally:
        observer.finish(status=0)
    if observer.failure is not None:
        msg = f"torchdx could not observe: {observer.failure}."
        raise CallError(msg)


def _put_back(state: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    with torch.no_grad():
        for tensor, was in state:
            tensor.copy_(was)


def _train(model: nn.Module, optimizer: Optimizer, asking: "_Asking") -> None:
    """Some steps on the one batch."""

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = asking.loss(model)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    began = time.perf_counter()
    for step in range(STEPS):
        if step >= LEAST and time.perf_counter() - began > STEPS_S:
            break
        if isinstance(optimizer, torch.optim.LBFGS):
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        else:
            closure()
            optimizer.step()


@contextlib.contextmanager
def _busy(observer: Observer) -> Iterator[None]:
    observer.busy = True
    try:
        yield
    finally:
        observer.busy = False


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    found = [p for p in model.parameters() if p.requires_grad]
    if not found:
        msg = "checkup has nothing to train: no parameter of the model requires a gradient."
        raise CallError(msg)
    return found


def _probe(recorder: Recorder, subject: Subject, optimizer: Optimizer | None) -> None:
    line = recorder.frames.here()
    for kind, found in (
        ("initial", initial(subject)),
        ("modes", modes(subject)),
        ("mixing", mixing(subject)),
        ("zeroed", zeroed(subject)),
        ("one-batch", one_batch(subject, limit_s=FIT_S)),
        *(() if optimizer is None else (("sharpness", sharpness(subject, optimizer)),)),
    ):
        tell(recorder, kind, found, model="", line=line)


def _measure(recorder: Recorder, asking: "_Asking", model: nn.Module) -> None:
    """What only a checkup asks of the batch itself, as an event `batch`."""
    given = [t for t in tensors_of(asking.batch) if t.is_floating_point()]
    wild = sum(int((~t.isfinite()).sum()) for t in given)
    loss = asking.loss(model)
    head = heads.read(loss)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    left_out = [name for name, p in named.items() if p.grad is None]
    facts: dict[str, Any] = {"wild": wild, "loss": float(loss.detach()), "head": None}
    facts |= {"left_out": left_out[:20], "parameters": len(named)}
    if head is not None:
        facts |= {"head": head.kind, "rows": len(head.target)}
        facts["distinct"] = len(torch.unique(head.target, dim=0))
    recorder.event("batch", **facts)


@dataclass
class _Asking:
    """How the loss of a model on the batch is computed.

    of_model  whether `loss_fn` takes the model and the batch, or an output and its target
    """

    batch: Any
    loss_fn: LossFn
    of_model: bool

    @classmethod
    def of(cls, batch: Any, loss_fn: LossFn, model: nn.Module) -> "_Asking":
        """Tell the form of a loss function.

        Raises:
            CallError: neither form gives a scalar with a gradient.
        """
        failures = []
        for of_model in forms(loss_fn):
            asking = cls(batch, loss_fn, of_model)
            try:
                loss = asking.loss(model)
                if loss.numel() == 1 and loss.requires_grad:
                    return asking
                failures.append(f"an answer of shape {tuple(loss.shape)} without a gradient")
            except Exception as error:  # noqa: BLE001  # the program's own: told below
                failures.append(_told(error))
        msg = (
            "checkup needs loss_fn(model, batch) or loss_fn(output, target) to give a scalar with "
            f"a gradient. It was tried: {'; '.join(failures)}."
        )
        raise CallError(msg)

    def loss(self, model: nn.Module) -> torch.Tensor:
        """The loss of one forward, on a fresh copy of the batch."""
        return call_of(model, self.loss_fn, copy.deepcopy(self.batch), of_model=self.of_model)

    def subject(self, model: nn.Module) -> Subject:
        """The model's call with its loss, for the probes."""
        if not self.of_model:
            inputs, target = parts_of(self.batch)
            args, kwargs = arguments(inputs)
            loss = self.loss_fn
            return Subject(model, args, kwargs, lambda output: loss(output, target))
        calls: list[tuple[Any, Any, Any]] = []
        hook = model.register_forward_hook(
            lambda _module, args, kwargs, output: calls.append((args, kwargs, output)),
            with_kwargs=True,
        )
        try:
            root = self.loss(model)
        finally:
            hook.remove()
        if len(calls) == 1:
            args, kwargs, output = calls[0]
            rebuilt = rebuild_loss(output, root)
            if rebuilt is not None:
                return Subject(model, args, kwargs, rebuilt, factor=factor_of(root))
        return Subject(_Whole(model, self.loss_fn), (self.batch,), {}, lambda loss: loss)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


class _Whole(nn.Module):
    """A model with its loss, where the loss cannot be told from the model's answer."""

    def __init__(self, model: nn.Module, loss_fn: LossFn) -> None:
        super().__init__()
        self.model, self.loss_fn = model, loss_fn

    def forward(self, batch: Any) -> torch.Tensor:
        """The loss of a batch."""
        return self.loss_fn(self.model, batch)
