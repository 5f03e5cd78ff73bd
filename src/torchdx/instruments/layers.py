"""Measures what every module puts out, and the gradient that comes back to it.

Signals, one place a module (its path), at fully sampled steps:

activation.mean, activation.std   of all its outputs, in their own unit
activation.zeros                  share of outputs that are exactly zero
activation.beyond3, .beyond6      share with a magnitude above 3, above 6: tanh' is under 0.01 of
                                  its greatest beyond 3, sigmoid' beyond 6
activation.gain                   root mean square of what comes out over that of what goes in
channel.mean_rms, channel.std_rms root mean square, over channels, of their means and deviations
row.spread                        how much rows differ: deviation over rows, root mean square over
                                  outputs, divided by the root mean square of the outputs; 0 to 1
unit.dead                         share of units (channels) never above zero in the last `WINDOW`
                                  samples
unit.still                        share of units that put out the same for every row of the batch
output_gradient.rms               root mean square of the loss's gradient by its outputs
output_gradient.zeros             share of it that is exactly zero

Sums and norms run over all elements; shares over an even sample of blocks (64 of 64 elements), of
which histograms are made too.
"""

import functools
import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import nn

from torchdx.events.identity import ByIdentity
from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.graph.names import Names
from torchdx.instruments.histograms import Histograms
from torchdx.instruments.tensors import blocks, hook_gradient, plain, unseen

WINDOW = 8  # samples over which a unit counts as dead
GRAIN = 1e-6  # of the mean square: smaller variances are float32's rounding
MAX_PLACES = 400  # modules that are measured in one step
_ROWS, _FEATURES = 64, 512  # of a batch, to see how much rows differ
_FORWARD = (
    "activation.mean activation.std activation.zeros activation.beyond3 activation.beyond6 "
    "activation.gain channel.mean_rms channel.std_rms row.spread unit.dead unit.still"
).split()
_BACKWARD = "output_gradient.rms output_gradient.zeros".split()


class Layers(Quiet):
    """Module by module, at the sampled steps; values stay on their device until the flush."""

    def __init__(
        self,
        recorder: Recorder,
        names: Names,
        shielded: Callable[[Callable[..., None]], Callable[..., None]],
    ) -> None:
        """`shielded` makes a function safe to call from the program."""
        self._recorder, self._names, self._shielded = recorder, names, shielded
        self._highest = ByIdentity[nn.Module, deque[torch.Tensor]]()
        self._forward: dict[str, torch.Tensor] = {}
        self._backward: dict[str, torch.Tensor] = {}
        self._kept: list[tuple[int, list[str], dict[str, torch.Tensor]]] = []
        self._histograms = Histograms(recorder)

    def called(self, module: nn.Module, args: Any, output: Any) -> None:
        """A module has returned, in a step that is sampled fully."""
        if len(self._forward) >= MAX_PLACES or not _measured(module):
            return
        out = _tensor_of(output)
        if out is None:
            return
        path = self._names.path(module)
        if path in self._forward:  # called again within the step: the first call stands for it
            return
        with unseen():
            few = blocks(out).float()
            self._forward[path] = self._statistics(module, _tensor_of(args), out.detach(), few)
            self._histograms.sampled("activation", path, few)
        if out.requires_grad:
            hook_gradient(out, self._shielded(functools.partial(self._came_back, path)))

    def learned(self, glimpse: Any) -> None:
        """The backward pass has ended: what belongs to it is complete."""
        if not self._forward:
            return
        forward, backward = self._forward, self._backward
        self._forward, self._backward = {}, {}
        self._kept.append((glimpse.step, [*_FORWARD], forward))
        if backward:
            self._kept.append((glimpse.step, [*_BACKWARD], backward))

    def flush(self) -> None:
        """Read what is kept, and write it down."""
        kept, self._kept = self._kept, []
        for step, signals, by_place in kept:
            rows = _read(list(by_place.values()))
            places = list(by_place)
            values = {
                signal: {
                    place: row[index]
                    for place, row in zip(places, rows, strict=True)
                    if not math.isnan(row[index])  # not measured
                }
                for index, signal in enumerate(signals)
            }
            self._recorder.signals(step, values)
        self._histograms.flush()

    def _came_back(self, path: str, gradient: torch.Tensor) -> None:
        if path in self._backward or not _floats(gradient):
            return
        with unseen():
            rms = _norm(gradient) / gradient.numel() ** 0.5
            few = blocks(gradient).float()
            self._backward[path] = torch.stack([rms, (few == 0).float().mean()])
            self._histograms.sampled("output_gradient", path, few)

    def _statistics(
        self,
        module: nn.Module,
        given: torch.Tensor | None,
        out: torch.Tensor,
        few: torch.Tensor,
    ) -> torch.Tensor:
        """Of one output; `few`: a sample of it."""
        channel = _channel_of(module, out)
        others = [dim for dim in range(out.dim()) if dim != channel]
        count = out.numel() // max(1, out.shape[channel])
        means = out.sum(others, dtype=torch.float32) / count
        squares = _norm(out, others) ** 2 / count
        deviations = (squares - means**2).clamp_min(0)
        size = few.abs()
        rms = squares.mean().sqrt()
        gain = torch.nan_to_num(rms / _rms(given), nan=torch.nan, posinf=torch.nan)
        still = (deviations <= GRAIN * squares).float().mean()
        values = [
            means.mean(),
            (squares.mean() - means.mean() ** 2).clamp_min(0).sqrt(),
            (few == 0).float().mean(),
            (size > 3).float().mean(),  # noqa: PLR2004  # tanh' is 0.01 there
            (size > 6).float().mean(),  # noqa: PLR2004  # sigmoid' is 0.01 of its greatest there
            gain,
            (means**2).mean().sqrt(),
            deviations.mean().sqrt(),
            _row_spread(out),
            self._dead(module, out.amax(others).float()),
            still,
        ]
        return torch.stack([value.reshape(()) for value in values])

    def _dead(self, module: nn.Module, highest: torch.Tensor) -> torch.Tensor:
        """The share of units that were at or below zero throughout the last samples."""
        last = self._highest.setdefault(module, deque(maxlen=WINDOW))
        if last and last[-1].shape != highest.shape:
            last.clear()
        last.append(highest)
        return (torch.stack(list(last)).amax(0) <= 0).float().mean()


def _measured(module: nn.Module) -> bool:
    """Whether a module does something itself: it holds parameters, or no other module."""
    return not module._modules or bool(module._parameters)


def _tensor_of(value: Any) -> torch.Tensor | None:
    """The first tensor of floats in an output or among arguments."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return value if _floats(value) else None


def _floats(value: Any) -> TypeGuard[torch.Tensor]:
    return plain(value) and value.is_floating_point() and value.dim() > 0 and value.numel() > 0


def _norm(tensor: torch.Tensor, dims: list[int] | None = None) -> torch.Tensor:
    """Euclidean; summed in float32 or wider, told in float32."""
    wide = torch.promote_types(tensor.dtype, torch.float32)
    norm: torch.Tensor = torch.linalg.vector_norm(tensor, dim=dims, dtype=wide)
    return norm.float()


def _channel_of(module: nn.Module, out: torch.Tensor) -> int:
    """Which dimension of an output counts its units."""
    features_last = isinstance(module, nn.Linear | nn.LayerNorm | nn.RNNBase | nn.Embedding)
    if features_last or out.dim() in {1, 2, 3}:
        conv_like = hasattr(module, "kernel_size") or "BatchNorm" in type(module).__name__
        return 1 if out.dim() == 3 and conv_like else out.dim() - 1  # noqa: PLR2004
    return 1


def _rms(given: torch.Tensor | None) -> torch.Tensor:
    if given is None:
        return torch.tensor(torch.nan)
    few = blocks(given).float()
    return (few**2).mean().sqrt()


def _row_spread(out: torch.Tensor) -> torch.Tensor:
    """How much the rows of a batch differ, as a share of their size; NaN for a single row."""
    if out.dim() < 2 or len(out) < 2:  # noqa: PLR2004  # rows and something in them
        return torch.full((), torch.nan, device=out.device)
    rows = out[:_ROWS].reshape(min(len(out), _ROWS), -1)
    rows = rows[:, :: max(1, rows.shape[1] // _FEATURES)].float()
    centred = rows - rows.mean(0)
    return (centred**2).mean().sqrt() / (rows**2).mean().sqrt()


def _read(rows: list[torch.Tensor]) -> list[list[float]]:
    """The values of several small tensors with one wait for their device."""
    device = rows[0].device
    found: list[list[float]] = torch.stack([row.to(device) for row in rows]).tolist()
    return found
