"""Measures what stands between gradients and steps: clipping, and the optimizer's own state.

clip.ratio             norm of the gradients over the norm that they are clipped to, at sampled
                       steps; above 1 they were cut
optimizer.eps_share    share of an Adam-like optimizer's elements whose root of second moment is
                       smaller than its `eps`, place: the optimizer's number
optimizer.decay_ratio  norm of the decay (`weight_decay` times weight) over that of the gradient,
                       over the parameters that are decayed; place: the optimizer's number
"""

from typing import Any

import torch
from torch.optim import Optimizer

from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.instruments.tensors import few_of, unseen

AT = frozenset({1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000})
MAX_PARAMETERS = 100
_ELEMENTS = 512
_KEPT = 200  # clips that wait for the next flush


class Strides(Quiet):
    """Listens to clipping, and looks into optimizers after some of their steps."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._clips: list[tuple[int, Any, float]] = []

    def clipped(self, step: int, norm: Any, most: Any) -> None:
        """`clip_grad_norm_` found a total norm and cut it to `most`."""
        if isinstance(most, int | float) and most > 0 and len(self._clips) < _KEPT:
            self._clips.append((step, norm, float(most)))

    def stepped(self, optimizer: Optimizer, number: int, step: int) -> None:
        """An optimizer has done its step number `step`."""
        if step in AT:
            with unseen():
                self._look(optimizer, str(number), step)

    def flush(self) -> None:
        """Write down the clips."""
        clips, self._clips = self._clips, []
        for step, norm, most in clips:
            value = float(norm) / most
            if value == value and value != float("inf"):  # noqa: PLR0124  # neither NaN nor infinite
                self._recorder.signals(step, {"clip.ratio": {"": value}})

    def _look(self, optimizer: Optimizer, place: str, step: int) -> None:
        signals: dict[str, dict[str, float]] = {}
        small, seen, decay, gradient = 0.0, 0, 0.0, 0.0
        for group in optimizer.param_groups:
            eps, rate = group.get("eps"), group.get("weight_decay", 0.0)
            for parameter in group["params"][:MAX_PARAMETERS]:
                second = optimizer.state.get(parameter, {}).get("exp_avg_sq")
                if isinstance(eps, float) and isinstance(second, torch.Tensor):
                    few = few_of(second, _ELEMENTS).float().sqrt() / _correction(group, step)
                    small, seen = small + float((few < eps).sum()), seen + few.numel()
                if rate and parameter.grad is not None and not parameter.grad.is_sparse:
                    decay += float(torch.linalg.vector_norm(parameter.detach())) ** 2 * rate**2
                    gradient += float(torch.linalg.vector_norm(parameter.grad)) ** 2
        if seen:
            signals["optimizer.eps_share"] = {place: small / seen}
        if gradient:
            signals["optimizer.decay_ratio"] = {place: (decay / gradient) ** 0.5}
        self._recorder.signals(step, signals)


def _correction(group: dict[str, Any], step: int) -> float:
    """The root of Adam's bias correction (Kingma & Ba 2015, algorithm 1)."""
    betas = group.get("betas")
    if not betas or not 0 < betas[1] < 1:
        return 1.0
    return float((1 - betas[1] ** step) ** 0.5)
