"""Up to which curvature an optimizer is stable on a quadratic.

A direction of curvature `c` diverges once lr times c exceeds a number that the method fixes:

    gradient descent        2
    momentum b (heavy ball) 2 (1 + b) / (1 - dampening)
    Nesterov, momentum b    2 (1 + b) / (1 + 2 b)
    Adam, AdamW             2 (1 + b1) / (1 - b1), for the curvature in its own coordinates
    RMSprop, Adagrad        as gradient descent or heavy ball, in their own coordinates

Own coordinates: P^(-1/2) H P^(-1/2), with P the diagonal that divides the step, held still.

Sources: Polyak 1964; Cohen et al. 2021 (arXiv 2103.00065, app. B) for momentum and Nesterov; Cohen
et al. 2022 (arXiv 2207.14484, prop. 1) for Adam.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from torchdx.curvatures.objective import Objective
from torchdx.errors import CallError

_SECOND = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "sum")
_ADAMS = frozenset({"Adam", "AdamW"})
_SCALING = _ADAMS | {"RMSprop", "Adagrad"}
_COUPLED = frozenset({"SGD", "Adam", "RMSprop", "Adagrad"})


@dataclass(frozen=True)
class Limits:
    """An optimizer's step in terms of curvature.

    lr        of the first group that holds any of the parameters
    limit     of lr times curvature
    scale     (n,): what a coordinate is multiplied with on both sides; None: 1 everywhere
    decay     (n,) added to the diagonal: coupled weight decay; a number where it is the same
    formula   in words
    """

    lr: float
    limit: float
    scale: torch.Tensor | None
    decay: torch.Tensor | float
    formula: str


def limits_of(optimizer: Optimizer, objective: Objective) -> Limits:
    """Read an optimizer's settings and state.

    Raises:
        CallError: its limit is not known, or it has not stepped yet and has no scales.
    """
    cls = type(optimizer).__name__
    groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    held = [groups.get(id(p)) for p in objective.parameters]
    first = next((g for g in held if g is not None), None)
    if first is None:
        raise CallError(_STRANGER)
    if any(g is not None and g.get("maximize") for g in held):
        raise CallError("The optimizer maximizes; there is no largest stable step upwards.")
    limit, formula = _limit(cls, first)
    lr = float(first["lr"])
    if not lr:
        raise CallError("The learning rate is 0 now, so there is no step whose limit to tell.")
    scales = [
        _scale(optimizer, cls, g, p, lr) for g, p in zip(held, objective.parameters, strict=True)
    ]
    if all(isinstance(scale, float) and not scale for scale in scales):
        raise CallError(_NO_STEP)
    decays = [
        float(g["weight_decay"]) if g and cls in _COUPLED and not _decoupled(g) else 0.0
        for g in held
    ]
    return Limits(lr, limit, _whole(scales, objective), _decay(decays, objective), formula)


def _decoupled(group: dict[str, Any]) -> bool:
    return bool(group.get("decoupled_weight_decay"))


def _limit(cls: str, group: dict[str, Any]) -> tuple[float, str]:
    momentum = float(group.get("momentum", 0.0))
    if cls in _ADAMS:
        b1 = float(group["betas"][0])
        return 2 * (1 + b1) / (1 - b1), f"{cls}: 2 (1 + b1) / (1 - b1), b1 = {b1:g}"
    if cls not in {"SGD", "RMSprop", "Adagrad"}:
        msg = (
            f"The largest stable step of {cls} is not known here; it is for SGD (momentum, "
            "Nesterov), Adam, AdamW, RMSprop and Adagrad. step() works with any optimizer."
        )
        raise CallError(msg)
    if group.get("nesterov"):
        told = f"Nesterov: 2 (1 + b) / (1 + 2 b), b = {momentum:g}"
        return 2 * (1 + momentum) / (1 + 2 * momentum), told
    if momentum:
        damping = float(group.get("dampening", 0.0))
        told = f"heavy ball: 2 (1 + b), b = {momentum:g}"
        told += f", dampening {damping:g}" if damping else ""
        return 2 * (1 + momentum) / (1 - damping), told
    return 2.0, "gradient descent: 2" if cls == "SGD" else f"{cls}: 2"


def _scale(
    optimizer: Optimizer, cls: str, group: dict[str, Any] | None, parameter: torch.Tensor, lr: float
) -> torch.Tensor | float:
    """The root of lr / (first lr) / P of one parameter; 0 where it has never been stepped."""
    if group is None:
        return 0.0
    relative = float(group["lr"]) / lr
    if cls not in _SCALING:
        return math.sqrt(relative)
    state = optimizer.state.get(parameter, {})
    found = next((state[name] for name in _SECOND if name in state), None)
    if found is None or not float(state.get("step", 0)):
        return 0.0
    steps, eps = float(state["step"]), float(group.get("eps", 1e-8))
    if cls in _ADAMS:
        b1, b2 = map(float, group["betas"])
        divisor = ((found.detach() / (1 - b2**steps)).sqrt() + eps) * (1 - b1**steps)
    else:
        centred = state.get("grad_avg")
        square = found.detach() if centred is None else found.detach() - centred.detach() ** 2
        divisor = square.clamp_min(0).sqrt() + eps
    scale: torch.Tensor = (relative / divisor).sqrt()
    return scale


def _whole(scales: list[torch.Tensor | float], objective: Objective) -> torch.Tensor | None:
    if all(isinstance(s, float) and s == 1 for s in scales):
        return None
    pairs = zip(scales, objective.parameters, strict=True)
    return objective.layout.flat(
        s if isinstance(s, torch.Tensor) else torch.full_like(p, s) for s, p in pairs
    )


def _decay(decays: list[float], objective: Objective) -> torch.Tensor | float:
    if len(set(decays)) == 1:
        return decays[0]
    pairs = zip(decays, objective.parameters, strict=True)
    return objective.layout.flat(torch.full_like(p, d) for d, p in pairs)


_STRANGER = "The optimizer holds none of the parameters that the curvature is of."
_NO_STEP = (
    "The optimizer has not stepped with these parameters yet, so it has no scales to measure the "
    "curvature in. Ask after a few steps of training."
)
