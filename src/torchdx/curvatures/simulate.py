"""The optimizer's real update, made on copies of it and of the parameters it holds."""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

from torchdx.curvatures.objective import Objective
from torchdx.errors import CallError
from torchdx.probes.copying import stepper_of


def update_of(
    optimizer: Optimizer,
    objective: Objective,
    gradient: torch.Tensor,
    max_norm: float | None = None,
) -> torch.Tensor:
    """What one step with this gradient would add to the weights, (n,).

    Args:
        optimizer: its class, settings and state are used; it is not changed itself.
        objective: whose parameters it holds; others get no gradient.
        gradient: (n,), as backward would leave it.
        max_norm: to which `clip_grad_norm_` would cut it first.

    Raises:
        CallError: it holds none of the parameters, or cannot be copied.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    own = {id(p) for p in objective.parameters}
    if not any(id(p) in own for p in held):
        raise CallError(_STRANGER)
    doubles = {id(p): _double(p) for p in held}
    double = _copied(optimizer, doubles)
    mine = [doubles.get(id(p)) for p in objective.parameters]
    before = objective.weights

    def give(gradient: torch.Tensor) -> None:
        for parameter, piece in zip(mine, objective.layout.pieces(gradient), strict=True):
            if parameter is not None:
                parameter.grad = piece.clone()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([p for p in mine if p is not None], max_norm)

    def now() -> torch.Tensor:
        pairs = zip(mine, objective.parameters, strict=True)
        return objective.layout.flat(q if p is None else p for p, q in pairs)

    def closure() -> float:
        at = now()
        give(objective.gradient(at))
        return objective.value(at)

    give(gradient)
    with torch.no_grad():
        _step(double, closure)
    return now() - before


def _double(parameter: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(parameter.detach().clone(), parameter.requires_grad)


def _copied(optimizer: Optimizer, doubles: dict[int, torch.nn.Parameter]) -> Optimizer:
    memo: dict[int, Any] = dict(doubles)
    try:
        return stepper_of(optimizer, memo)
    except (TypeError, RuntimeError, ValueError, AttributeError) as error:
        msg = f"The optimizer's step cannot be simulated, it cannot be copied: {error}"
        raise CallError(msg) from error


def _step(double: Optimizer, closure: Any) -> None:
    """By the class: a scheduler has put a wrapper around the original's own `step`."""
    step: Any = type(double).step
    asked = inspect.signature(step).parameters.get("closure")
    if asked is not None and asked.default is inspect.Parameter.empty:
        with torch.enable_grad():
            step(double, closure)
    else:
        step(double)


_STRANGER = (
    "The optimizer holds none of the parameters that the curvature is of. Likely the model was "
    "made or moved again after the optimizer: it would not train either."
)
