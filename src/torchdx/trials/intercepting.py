"""Stops a program between forward and backward of a step, and asks about its loss there."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchdx.curvatures import questions
from torchdx.curvatures.curvature import curvature
from torchdx.errors import CallError
from torchdx.events.glimpse import Call, Glimpse
from torchdx.events.guard import resting
from torchdx.events.sampling import Quiet
from torchdx.probes.copying import unwrapped
from torchdx.probes.replay import factor_of
from torchdx.probes.subject import Loss, rebuild_loss, tensors_at
from torchdx.trials.checkpoint import Checkpoint, load, load_stepper

SCALED = 256.0  # factors from here on are a gradient scaler's

Told = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class _Batch:
    """What the model was called with; of no form that could be split into rows."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class Interceptor(Quiet):
    """Waits for a step, asks, and tells.

    Args:
        step: of the optimizer that steps most, from 1.
        top: eigenvalues that are told.
        checkpoint: weights to ask at; None: those of the program.
        observer: that watches.
        end: is told the result, and does not return.
    """

    def __init__(
        self, step: int, top: int, checkpoint: Checkpoint | None, observer: Any, end: Told
    ) -> None:
        self._step, self._top, self._checkpoint = step, top, checkpoint
        self._observer, self._end = observer, end
        self._refused: list[str] = []

    def wants(self, step: int) -> bool:
        """Whether it is the step; the one after it comes where no loss of it would do."""
        if step > self._step and self._refused:
            self._end({"error": self._refused[0]})
        return step == self._step

    def learning(self, glimpse: Glimpse) -> None:
        """Ask about the first loss that can be asked about."""
        if glimpse.step != self._step:
            return
        try:
            with resting():
                result = self._answered(glimpse)
        except CallError as error:
            self._refused.append(str(error))
        except Exception as error:  # noqa: BLE001  # the program's own forward, asked again
            self._refused.append(f"at step {self._step} {type(error).__name__}: {error}"[:500])
        else:
            self._end(result)

    def _answered(self, glimpse: Glimpse) -> dict[str, Any]:
        call, loss = _found(glimpse)
        model, notes = unwrapped(call.model), []
        factor = factor_of(glimpse.root)
        scale = factor if abs(factor) >= SCALED else 1.0
        optimizer = self._optimizer(model)
        if optimizer is not None and _needs_closure(optimizer):
            notes.append(f"{type(optimizer).__name__} steps by a closure: nothing is said of steps")
            optimizer = None
        elif optimizer is None:
            notes.append("no optimizer holds this model's parameters: nothing is said of steps")
        if self._checkpoint is not None:
            load(self._checkpoint, model)
            if optimizer is not None:
                notes.append(load_stepper(self._checkpoint, optimizer))
        if scale != 1:
            notes.append(f"the loss without the scaler's factor {scale:g}")
        elif factor != 1:
            notes.append(f"the loss as the program steps on it, times {factor:g}")

        def loss_fn(model: nn.Module, batch: _Batch) -> Any:
            return loss(model(*batch.args, **batch.kwargs)) / scale

        batch = _Batch(call.args, call.kwargs or {})
        with curvature(model, loss_fn, batch, optimizer) as asked:
            losses = self._observer.losses() if self._checkpoint is None else ()
            steps = optimizer is not None
            found = questions.answers(asked, self._top, optimizer=steps, losses=losses)
        first = next((t for _, t in tensors_at((call.args, dict(batch.kwargs))) if t.dim()), None)
        return {
            "words": questions.words(found),
            "answers": questions.told(found),
            "notes": notes,
            "step": glimpse.step,
            "model": call.path or type(model).__name__,
            "rows": None if first is None else len(first),
        }

    def _optimizer(self, model: nn.Module) -> Optimizer | None:
        """The one that holds most of a model's parameters."""
        own = {id(p) for p in model.parameters()}
        known = [
            (sum(id(p) in own for g in o.param_groups for p in g["params"]), o)
            for o in self._observer.optimizers()
        ]
        best = max(known, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] else None


def _needs_closure(optimizer: Optimizer) -> bool:
    asked = inspect.signature(type(optimizer).step).parameters.get("closure")
    return asked is not None and asked.default is inspect.Parameter.empty


def _found(glimpse: Glimpse) -> tuple[Call, Loss]:
    """A call of a model, and what leads from its answer to the loss."""
    for call in glimpse.calls:
        loss = None if call.follows else rebuild_loss(call.output, glimpse.root)
        if loss is not None:
            return call, loss
    seen = "no call of a model was seen before it" if not glimpse.calls else _LOST
    msg = f"the loss of step {glimpse.step} cannot be asked about: {seen}."
    raise CallError(msg)


_LOST = (
    "it could not be computed again from the model's answer (it depends on more than one call, or "
    "on an operation that cannot be repeated). dx.curvature(closure, parameters) takes any loss"
)
