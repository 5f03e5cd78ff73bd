"""The scalar whose curvature is asked for: a weighted mean of losses, as a function of weights."""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from torchdx.curvatures import rows
from torchdx.curvatures.guard import Guard
from torchdx.curvatures.vectors import Layout
from torchdx.errors import CallError
from torchdx.probes.copying import unwrapped
from torchdx.probes.forms import LossFn, call_of, forms

Losses = Callable[[], torch.Tensor]
_LOW = frozenset({torch.float16, torch.bfloat16})
_NOISE_PARTS = 8


@dataclass(frozen=True)
class Part:
    """One batch's loss and its share of the whole."""

    loss: Losses
    share: float


class Objective:
    """The mean of some losses in the weights.

    Args:
        parts: the losses; their shares sum to 1.
        named: parameters by name.
        functions: what computes the losses, for the guard.
        batches: where they are known.
        remake: losses of other batches of the same kind; None for closures.
        group: of processes that hold a share each; None: this one has everything.
    """

    def __init__(  # noqa: PLR0913  # what a loss is made of
        self,
        parts: Sequence[Part],
        named: Mapping[str, torch.Tensor],
        functions: Sequence[Any],
        *,
        batches: Sequence[Any] = (),
        remake: Callable[[Any], Losses] | None = None,
        group: Any = None,
    ) -> None:
        self.parts, self.batches = tuple(parts), tuple(batches)
        self.group, self.ranks = group, 1 if group is None else dist.get_world_size(group)
        self.parameters = list(named.values())
        self.layout = Layout.of(list(named), self.parameters)
        self.guard = Guard(functions, self.parameters)
        if any(type(m).__name__ == "DistributedDataParallel" for m in self.guard.modules):
            raise CallError(_WRAPPED)
        self._remake = remake
        self.weights = self.now()

    @property
    def rows(self) -> int | None:
        """Of all batches together; None where unknown."""
        found = [rows.rows_of(batch) for batch in self.batches]
        return sum(r for r in found if r is not None) if found and None not in found else None

    @property
    def losses_made(self) -> int:
        """Forward passes so far."""
        return self.guard.forwards

    def now(self) -> torch.Tensor:
        """The weights as they are, (n,), copied."""
        return self.layout.flat(self.parameters)

    def check_unmoved(self) -> None:
        """Refuse to mix answers about two sets of weights.

        Raises:
            CallError: the weights are no longer those that this was made for.
        """
        if not same(self.weights, self.now()):
            raise CallError(_MOVED)

    def losses(self) -> Iterator[torch.Tensor]:
        """Each part's loss times its share, with its graph; one after the other.

        Raises:
            CallError: it is no scalar, not finite, or without a gradient.
        """
        for part in self.parts:
            with self.guard.forward():
                loss = part.loss()
            _check(loss)
            yield loss * part.share

    def value(self, at: torch.Tensor | None = None) -> float:
        """The loss at other weights (n,), or at those that are; NaN stays NaN."""
        total = 0.0
        with self.moved(at), torch.no_grad():
            for part in self.parts:
                with self.guard.forward():
                    total += part.share * float(_scalar(part.loss()))
        return float(self.agreed(torch.tensor(total, dtype=torch.float64)))

    def gradient(self, at: torch.Tensor | None = None) -> torch.Tensor:
        """The gradient (n,) at other weights, or at those that are."""
        with self.moved(at):
            return self.agreed(sum_of(self._gradients()))

    def noise(self) -> float | None:
        """Expected squared distance of this gradient from that of all data, by its parts.

        From the spread of the gradients of ranks, of batches, or of eight parts of one; None where
        it has no parts: closures, and batch norms in training mode, which tie rows together.
        """
        if self.ranks > 1:
            return self._noise_of_ranks()
        parts = self._noise_parts()
        if parts is None:
            return None
        found = [self._gradient_of(part) for part in parts]
        mean = sum_of(iter(found)) / len(found)
        spread = sum(float((g - mean).double().square().sum()) for g in found)
        return spread / (len(found) * (len(found) - 1))

    def alone(self, index: int) -> "Objective":
        """The loss of one of the batches."""
        single = copy.copy(self)
        single.parts = (Part(self.parts[index].loss, 1.0),)
        return single

    def _noise_of_ranks(self) -> float:
        own = sum_of(self._gradients())
        apart = own - self.agreed(own.clone())
        return float(self.agreed(apart.double().square().sum())) / (self.ranks - 1)

    @contextlib.contextmanager
    def moved(self, at: torch.Tensor | None) -> Iterator[None]:
        """The parameters at other weights; their memory and versions are untouched."""
        if at is None:
            yield
            return
        was = [p.data for p in self.parameters]
        try:
            pieces = self.layout.pieces(at.to(self.layout.dtype))
            for parameter, piece in zip(self.parameters, pieces, strict=True):
                parameter.data = piece
            yield
        finally:
            for parameter, data in zip(self.parameters, was, strict=True):
                parameter.data = data

    def agreed(self, local: torch.Tensor) -> torch.Tensor:
        """The mean over ranks, the same on each."""
        if self.ranks == 1:
            return local
        dist.all_reduce(local, group=self.group)
        return local / self.ranks

    def decided(self, local: torch.Tensor) -> torch.Tensor:
        """Numbers that a decision hangs on: those of rank 0, on each."""
        if self.ranks > 1:
            dist.broadcast(local, dist.get_global_rank(self.group, 0), group=self.group)
        return local

    def _gradients(self) -> Iterator[torch.Tensor]:
        for loss in self.losses():
            parts = torch.autograd.grad(
                loss, self.parameters, allow_unused=True, materialize_grads=True
            )
            yield self.layout.flat(p.to_dense() if p.is_sparse else p for p in parts)

    def _gradient_of(self, loss: Losses) -> torch.Tensor:
        with self.guard.forward():
            value = loss()
        parts = torch.autograd.grad(
            value, self.parameters, allow_unused=True, materialize_grads=True
        )
        return self.layout.flat(p.to_dense() if p.is_sparse else p for p in parts)

    def _noise_parts(self) -> list[Losses] | None:
        if len(self.parts) > 1:
            return [part.loss for part in self.parts]
        norms = (m for m in self.guard.modules if isinstance(m, nn.modules.batchnorm._BatchNorm))
        if self._remake is None or any(norm.training for norm in norms):
            return None
        batch = self.batches[0]
        pieces = rows.split(batch, min(_NOISE_PARTS, rows.rows_of(batch) or 0))
        return None if not pieces or len(pieces) == 1 else [self._remake(p) for p in pieces]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two vectors are equal, NaN equal to itself."""
    return torch.equal(a, b) or torch.equal(a.nan_to_num(), b.nan_to_num())


def sum_of(tensors: Iterator[torch.Tensor]) -> torch.Tensor:
    """The sum of vectors, in the memory of the first."""
    total = next(tensors).clone()
    for tensor in tensors:
        total += tensor
    return total


def of_model(model: nn.Module, loss_fn: LossFn, batches: Sequence[tuple[Any, float]]) -> Objective:
    """The mean loss of a model over weighted batches.

    Raises:
        CallError: nothing requires a gradient, a batch has no rows, the precision is too low, the
            loss is no scalar.
    """
    group = _group(model)
    model = unwrapped(model)
    if any(hasattr(p, "device_mesh") for p in model.parameters()):
        raise CallError(_SHARDED)
    named = _checked({n: p for n, p in model.named_parameters() if p.requires_grad})
    total = math.fsum(weight for _, weight in batches)
    for batch, weight in batches:
        rows.check_rows(batch)
        if not weight > 0 or not math.isfinite(weight):
            msg = f"A batch has the weight {weight}; weights must be above 0 and finite."
            raise CallError(msg)
    form = _Form(model, loss_fn)
    parts = [Part(form.losses(batch), weight / total) for batch, weight in batches]
    return Objective(
        parts,
        named,
        [model, loss_fn],
        batches=[batch for batch, _ in batches],
        remake=form.losses,
        group=group,
    )


def of_closure(closure: Losses, parameters: Any) -> Objective:
    """The loss that a closure computes, in the parameters given.

    Args:
        closure: takes nothing, gives the loss as a scalar; calls no backward.
        parameters: tensors, or tensors by name, or pairs of both.

    Raises:
        CallError: nothing requires a gradient, the precision is too low, the closure calls a model
            that is wrapped for several processes.
    """
    return Objective([Part(closure, 1.0)], _checked(_named(parameters)), [closure])


class _Form:
    """Finds out, at the first loss, how the loss function is called."""

    def __init__(self, model: nn.Module, loss_fn: LossFn) -> None:
        self.model, self.loss_fn = model, loss_fn
        self._of_model: bool | None = None

    def losses(self, batch: Any) -> Losses:
        return lambda: self._loss(batch)

    def _loss(self, batch: Any) -> torch.Tensor:
        if self._of_model is None:
            return self._first(batch)
        return call_of(self.model, self.loss_fn, batch, of_model=self._of_model)

    def _first(self, batch: Any) -> torch.Tensor:
        failures: list[str] = []
        last: Any = None
        for of_model in forms(self.loss_fn):
            try:
                loss = call_of(self.model, self.loss_fn, batch, of_model=of_model)
            except Exception as error:  # noqa: BLE001  # the program's own: told below
                failures.append(f"{type(error).__name__}: {error}"[:200])
                continue
            if isinstance(loss, torch.Tensor) and loss.numel() == 1:
                self._of_model = of_model
                return loss
            last = loss
        if last is not None or not failures:
            return _scalar(last)
        msg = (
            "The loss could not be computed as loss_fn(model, batch) or loss_fn(output, target); "
            f"found: {'; '.join(failures)}. Check the batch and the order of arguments."
        )
        raise CallError(msg)


def _named(parameters: Any) -> dict[str, torch.Tensor]:
    if isinstance(parameters, Mapping):
        items = list(parameters.items())
    elif isinstance(parameters, torch.Tensor):
        items = [("parameter", parameters)]
    elif parameters is None:
        raise CallError(_NO_PARAMETERS)
    else:
        given = list(parameters)
        pairs = all(isinstance(item, tuple) for item in given)
        items = given if pairs else [(f"parameter {i}", p) for i, p in enumerate(given)]
    seen: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in items:
        if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
            seen.setdefault(id(tensor), (name, tensor))
    return dict(seen.values())


def _checked(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not named:
        raise CallError(_NOTHING)
    for name, p in named.items():
        if not p.is_leaf:
            msg = (
                f"'{name}' is computed from other tensors, so its gradient is not that of a "
                "parameter. Give the leaves themselves: those that an optimizer would hold."
            )
            raise CallError(msg)
        if p.is_complex():
            msg = f"'{name}' is {p.dtype}; the Hessian of complex parameters is not offered here."
            raise CallError(msg)
        if p.dtype in _LOW:
            msg = (
                f"The curvature was asked for, but '{name}' is {p.dtype}. Second derivatives lose "
                "all their digits at that precision; give model.float() or model.double()."
            )
            raise CallError(msg)
    if len({p.device for p in named.values()}) > 1:
        raise CallError(_SPREAD)
    return named


def _scalar(loss: Any) -> torch.Tensor:
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        return loss
    if loss is None:
        msg = "A Hessian needs a scalar loss, but the loss function gave None: a missing `return`?"
    elif not isinstance(loss, torch.Tensor):
        msg = (
            f"A Hessian needs a scalar loss, but the loss function gave a {type(loss).__name__}. "
            "Give the tensor itself: .item() and float() cut it off from the weights."
        )
    else:
        msg = (
            "A Hessian needs a scalar loss, but the loss function gave "
            f"{tuple(loss.shape)}. Likely reduction='none' or a missing .mean(): average over rows."
        )
    raise CallError(msg)


def _check(loss: Any) -> None:
    if not _scalar(loss).requires_grad:
        raise CallError(_DETACHED)
    if not math.isfinite(float(loss.detach())):
        msg = (
            f"The loss is {float(loss.detach())} at these weights, so it has no curvature there. "
            "Find where it breaks first: torchdx run names the first operation that is not finite."
        )
        raise CallError(msg)


def _group(model: nn.Module) -> Any:
    """The processes that train a wrapped model together."""
    inner: Any = model
    while inner is not unwrapped(inner) and type(inner).__name__ != "DistributedDataParallel":
        inner = getattr(inner, "module", None) or inner._orig_mod
    if type(inner).__name__ != "DistributedDataParallel":
        return None
    return inner.process_group


_MOVED = (
    "The weights have changed since the first question, so answers about both would be mixed. "
    "c.renew() asks about the weights as they are now, and starts from what is known."
)
_SHARDED = (
    "The model's parameters are sharded over processes (FSDP, DTensor); a second derivative of "
    "those is not to be had. Measure an unsharded copy of the model, or of a part of it."
)
_WRAPPED = (
    "The loss calls a DistributedDataParallel by a variable; its forward waits for a backward that "
    "does not come. Give the wrapped model instead: dx.curvature(model, loss_fn, batch)."
)
_NO_PARAMETERS = (
    "A closure needs its parameters: dx.curvature(closure, model.parameters()). For a model give "
    "dx.curvature(model, loss_fn, batch)."
)
_NOTHING = (
    "The curvature was asked for, but no parameter requires a gradient. Likely all are frozen "
    "(requires_grad=False), or the model has none; unfreeze what is to be examined."
)
_SPREAD = "The parameters are on several devices; bring them to one: model.to(device)."
_DETACHED = (
    "The loss has no graph back to the parameters. Likely it is computed under torch.no_grad(), "
    "from .detach() or .item(), or from other parameters than those given."
)
