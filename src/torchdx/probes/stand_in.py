"""The copy at work: it answers as the model did, in any mode, as often as a probe asks."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from torchdx.events.glimpse import RandomState
from torchdx.probes.copying import copied
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.outside import Outside, functions_of
from torchdx.probes.restoring import precision, undisturbed
from torchdx.probes.subject import Subject, Unmeasured, tensors_at

Mode = Literal["observed", "evaluation", "batch statistics"]

REPEATS = 1e-3  # relative: sums on an accelerator are taken in another order each time

P = ParamSpec("P")
R = TypeVar("R")


class Given(NamedTuple):
    """A tensor that the model is called with.

    name  of the parameter of its forward; `was`: its values when it was called
    """

    name: str
    tensor: torch.Tensor
    was: torch.Tensor

    @property
    def target(self) -> bool:
        """Whether it says what the answer should be."""
        return any(word in self.name.lower() for word in ("label", "target"))


class StandIn:
    """A copy of a subject's model with copies of its arguments.

    Every forward begins with the weights, buffers and arguments that the observed one began with.

    draws  whether the observed mode draws random numbers: known after `rehearse`
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        model, args, kwargs, _ = copied(subject.model, subject.args, subject.kwargs)
        self.model, self.args, self.kwargs = model, args, kwargs
        self.given = list(_given(model, args, kwargs))
        self._buffers = [(b, b.detach().clone()) for b in model.buffers()]
        self._training = {module: module.training for module in model.modules()}
        self.draws = True

    def set_mode(self, mode: Mode) -> None:
        """Set every part's mode.

        observed          as the program had it
        evaluation        by `model.eval()`
        batch statistics  the same, but batch norms that were in training stay so: all that differs
                          from evaluation is where they take mean and variance from
        """
        if mode == "observed":
            for module, training in self._training.items():
                module.training = training
            return
        self.model.eval()
        if mode == "batch statistics":
            for module in self.norms():
                module.training = True

    def forget_batch(self) -> None:
        """Set the running statistics back to what they were before the observed forward.

        The batch's own statistics follow from what they do to a forward of the same batch. They are
        left as they are where none was observed, where they hold nothing but this batch (a momentum
        of 1), and where another forward has come since (a variance would be below 0).
        """
        self.rewind()
        if self.subject.output is None:
            return
        after = {id(b): a for (b, _), a in zip(self._buffers, self._after, strict=True)}
        now = {id(b): n for b, n in self._buffers}
        for norm in self.norms():
            seen = 0 if norm.num_batches_tracked is None else int(norm.num_batches_tracked)
            share = norm.momentum if norm.momentum is not None else 1 / max(seen, 1)
            again = norm.momentum if norm.momentum is not None else 1 / (seen + 1)
            buffers = [b for b in (norm.running_mean, norm.running_var) if b is not None]
            if not again or share >= 1:
                continue
            own = [(after[id(b)] - (1 - again) * now[id(b)]) / again for b in buffers]
            before = [
                (now[id(b)] - share * o) / (1 - share) for b, o in zip(buffers, own, strict=True)
            ]
            if bool((before[-1] >= 0).all()):
                for buffer, value in zip(buffers, before, strict=True):
                    now[id(buffer)].copy_(value)

    def norms(self) -> Iterator[_BatchNorm]:
        """Its batch norms that were in training and keep running statistics."""
        for module, training in self._training.items():
            if isinstance(module, _BatchNorm) and training and module.track_running_stats:
                yield module

    def name(self, module: nn.Module) -> str:
        """A part's path, empty for the whole."""
        return next((name for name, inner in self.model.named_modules() if inner is module), "")

    def answer(
        self,
        *,
        state: RandomState | None = None,
        gradients: bool = False,
        changed: Mapping[int, torch.Tensor] | None = None,
        under: contextlib.AbstractContextManager[Any] | None = None,
    ) -> Any:
        """The model's answer to what it was given, in the mode that was set.

        state    the random states before it; as they are by default
        changed  other values for what it is given, by the position in `given`
        under    a context in which nothing but the model runs
        """
        self.rewind()
        with torch.no_grad():
            for index, value in (changed or {}).items():
                self.given[index].tensor.copy_(value)
        if state is not None:
            state.restore()
        inner = under or contextlib.nullcontext()
        with precision(self.subject.autocast), torch.set_grad_enabled(gradients), inner:
            return self.model(*self.args, **self.kwargs)

    def rewind(self) -> None:
        """Buffers and arguments as they were."""
        with torch.no_grad():
            for tensor, was in (*self._buffers, *((g.tensor, g.was) for g in self.given)):
                tensor.copy_(was)

    def loss_of(self, answer: Any) -> torch.Tensor:
        """The scalar loss of an answer, less the factor that the program put on it."""
        if self.subject.loss is None:
            raise CannotMeasure("the loss could not be computed again from the model's answer")
        with precision(self.subject.autocast):
            loss = self.subject.loss(answer)
        return loss.float() / self.subject.factor

    def loss(self, *, changed: Mapping[int, torch.Tensor] | None = None) -> float:
        """The value of the loss of one forward.

        Raises:
            CannotMeasure: it is not finite.
        """
        return self.value_of(self.answer(changed=changed))

    def answers(self, **options: Any) -> tuple[Any, Any]:
        """Two answers to the same; one forward where the first draws nothing at random."""
        before = RandomState.now()
        first = self.answer(**options)
        return first, first if unmoved(before, RandomState.now()) else self.answer()

    def value_of(self, answer: Any) -> float:
        """The value of the loss of an answer.

        Raises:
            CannotMeasure: it is not finite.
        """
        with torch.no_grad():
            value = float(self.loss_of(answer))
        if not math.isfinite(value):
            raise CannotMeasure("the loss is not finite")
        return value

    @property
    def rows(self) -> int:
        """How many rows the batch has: the length of the first tensor that has one."""
        return next((len(g.tensor) for g in self.given if g.tensor.dim()), 0)

    def rehearse(self) -> None:
        """See that the copy answers as the model did.

        Raises:
            CannotMeasure: it does not: the model counts its calls, say, or draws its randomness
                elsewhere.
        """
        self.set_mode("observed")
        state = self.subject.rng or RandomState.now()
        first = self.answer(state=state)
        self.draws = not unmoved(state, RandomState.now())
        self._after = [b.detach().clone() for b, _ in self._buffers]
        expected = self.subject.output
        if expected is None:
            expected = self.answer(state=state)
        if not alike(first, expected):
            raise CannotMeasure("a copy of the model, given the same, does not answer the same")
        if self.subject.value is not None and self.subject.loss is not None:
            with torch.no_grad():
                again = float(self.loss_of(first)) * self.subject.factor
            if not _near(again, self.subject.value):
                raise CannotMeasure("the loss of the same batch, computed again, is another")


def unmoved(before: RandomState, after: RandomState) -> bool:
    """Whether nothing was drawn at random between two states."""
    tensors = zip((before.cpu, *before.devices), (after.cpu, *after.devices), strict=False)
    if not all(torch.equal(a, b) for a, b in tensors) or before.python != after.python:
        return False
    if before.numpy is None or after.numpy is None:
        return True
    pairs = zip(before.numpy, after.numpy, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def _given(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Given]:
    names: list[str] = []
    with contextlib.suppress(TypeError, ValueError):
        names = list(inspect.signature(model.forward).parameters)
    for path, tensor in tensors_at((args, kwargs)):
        at = path[1][1]
        name = at if isinstance(at, str) else names[at] if at < len(names) else ""
        yield Given(name, tensor, tensor.detach().clone())


def alike(answer: Any, expected: Any) -> bool:
    """Whether two answers have the same form and, but for rounding, the same values."""
    pairs = [dict(tensors_at(value)) for value in (answer, expected)]
    if pairs[0].keys() != pairs[1].keys() or not pairs[0]:
        return False
    return all(same(t, pairs[1][path], REPEATS) for path, t in pairs[0].items())


def same(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    """Whether two tensors agree, relative to the size of their values."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return difference(a, b) <= tolerance


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square of the difference, relative to that of the values; 0 where both are 0."""
    with torch.no_grad():
        x, y = (torch.view_as_real(t) if t.is_complex() else t for t in (a.detach(), b.detach()))
        x, y = (t.to_dense() if t.layout is not torch.strided else t for t in (x, y))
        x, y = x.double().flatten(), y.double().flatten()
        wild = ~(x.isfinite() & y.isfinite())
        if bool(wild.any()):
            if not torch.equal(x[wild].nan_to_num(), y[wild].nan_to_num()):
                return float("inf")
            x, y = x[~wild], y[~wild]
        apart = float(torch.linalg.vector_norm(x - y))
        size = float(torch.linalg.vector_norm(torch.cat([x, y]))) / 2**0.5
    return apart / size if apart else 0.0


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= REPEATS * max(abs(a), abs(b))


@contextlib.contextmanager
def standing_in(subject: Subject) -> Iterator[StandIn]:
    """A rehearsed copy, for as long as a probe works with it.

    Raises:
        CannotMeasure: there can be none.
    """
    _check(subject)
    with undisturbed():
        outside = Outside(subject.model, functions_of(subject.model))
        try:
            double = StandIn(subject)
            double.rehearse()
            yield double
        finally:
            outside.restore()


def _check(subject: Subject) -> None:
    given = [t for _, t in tensors_at((subject.args, dict(subject.kwargs)))]
    if any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in given):
        raise CannotMeasure("the model is called inside a transform of torch.func")
    if any(t.numel() == 0 and t.dim() for t in given[:1]):
        raise CannotMeasure("the batch is empty")


def measured(
    probe: Callable[Concatenate[Subject, P], R],
) -> Callable[Concatenate[Subject, P], R | Unmeasured]:
    """A probe that never raises: what stands in its way becomes `Unmeasured`."""

    @functools.wraps(probe)
    def shielded(subject: Subject, /, *args: P.args, **kwargs: P.kwargs) -> R | Unmeasured:
        try:
            return probe(subject, *args, **kwargs)
        except CannotMeasure as reason:
            return Unmeasured(str(reason))
        except Exception as error:  # noqa: BLE001  # the model's own, on a copy of it
            return Unmeasured(f"{type(error).__name__}: {error}"[:200])

    return shielded
