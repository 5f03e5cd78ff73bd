"""Looks at forwards while it is armed: in the first steps, and whenever a phase changes.

The hooks are torch's global ones, so that no module carries anything of ours, and they are taken
away between the stretches that are of interest.
"""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from torchdx.events.loop import Loop, Pass
from torchdx.events.recorder import Recorder
from torchdx.graph.names import Names

Safely = Callable[[Callable[..., None]], Callable[..., None]]


class Lens:
    """Sees which modules are called, in which mode, and what they answer in validation."""

    def __init__(
        self,
        recorder: Recorder,
        loop: Loop,
        names: Names,
        *,
        safely: Safely,
        called: Callable[[], None],
    ) -> None:
        self._recorder, self._loop, self._names = recorder, loop, names
        self._model_called = called
        self._seen_before, self._seen_after = safely(self._before), safely(self._after)
        self._handles: list[Any] = []
        self._reasons: set[str] = set()
        self._depth = 0
        self._pass: Pass | None = None
        self._scored: Any = None
        self._called: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._collecting = True

    def arm(self, reason: str) -> None:
        """Watch forwards until every reason given is over."""
        self._reasons.add(reason)
        if not self._handles:
            self._depth = 0
            self._handles = [
                torch_module.register_module_forward_pre_hook(self._pre_hook),
                torch_module.register_module_forward_hook(self._hook, always_call=True),
            ]

    def disarm(self, *reasons: str) -> None:
        """A reason is over; with no reason given, all are."""
        self._reasons = self._reasons.difference(reasons) if reasons else set()
        if not self._reasons:
            for handle in self._handles:
                handle.remove()
            self._handles = []

    def collected(self) -> None:
        """The first steps are over: write down which modules were called with gradients on."""
        if self._collecting:
            self._collecting = False
            called = sorted(self._names.path(module) for module in self._called)
            self._recorder.emit({"e": "called", "modules": called})
            self.disarm("beginning")

    # A hook that begins so is traced away by torch.compile: no recompilation, no graph break.

    def _pre_hook(self, module: nn.Module, _args: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._seen_before(module)

    def _hook(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._seen_after(output)

    def _before(self, module: nn.Module) -> None:
        self._depth += 1
        grad = torch.is_grad_enabled()
        if self._collecting and grad:
            self._called.add(module)
        if self._depth == 1 and next(module.parameters(), None) is not None:
            self._root(module, grad=grad)

    def _root(self, module: nn.Module, *, grad: bool) -> None:
        self._model_called()
        self._names.adopt(module)
        line = self._recorder.frames.here()
        if not grad and module.training and self._collecting:
            self._recorder.event("forward-without-grad", line=line)
        self._pass = self._loop.forward(grad=grad, line=line)
        if self._pass is not None:
            if self._pass.training is None:
                self._pass.active = sum(1 for _ in active_modules(module))
            self._pass.training = module.training
            self._pass.no_grad = not grad
            self._pass.line = line or self._pass.line

    def _after(self, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._pass is not None:
            current, self._pass = self._pass, None
            if current.backwards == 0 and current.batch is not None:
                self._score(current, output)

    def _score(self, current: Pass, output: Any) -> None:
        """Hold a model's answer against the labels of its batch, once a batch."""
        if self._scored is current.batch:
            return
        answer, labels = first_tensor(output), None
        if answer is not None and answer.dim() > 0 and answer.is_floating_point():
            labels = _labels_for(answer, current.batch)
        if answer is None or labels is None:
            return
        self._scored = current.batch
        with torch.no_grad():
            rows = len(answer)
            labels = labels.detach().to(answer.device)
            if labels.is_floating_point():
                loss = torch.mean((answer.detach().reshape(rows, -1) - labels.reshape(rows, -1)) ** 2)
            else:
                loss = nn.functional.cross_entropy(answer.detach().float(), labels.long())
                current.right += float((answer.argmax(1) == labels).sum())
                current.scored += rows
            current.loss_sum += float(loss) * rows
            current.measured += rows


def active_modules(root: nn.Module) -> Iterator[nn.Module]:
    """Modules that behave otherwise in training than in evaluation, and are in training mode."""
    for module in root.modules():
        if not module.training:
            continue
        if isinstance(module, _BatchNorm):
            if module.track_running_stats:
                yield module
        elif isinstance(module, _DropoutNd):
            if module.p > 0:
                yield module
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0:
            yield module


def first_tensor(value: Any) -> torch.Tensor | None:
    """The tensor in a model's output: itself, `.logits`, or the first of a tuple or a mapping."""
    if isinstance(value, torch.Tensor):
        return value
    logits = getattr(value, "logits", None)
    if isinstance(logits, torch.Tensor):
        return logits
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((item for item in value if isinstance(item, torch.Tensor)), None)
    return None


def _labels_for(answer: torch.Tensor, batch: Any) -> torch.Tensor | None:
    """The tensor of a batch that can be the labels of `answer`: last in the batch, fitting rows."""
    items = list(batch.values()) if isinstance(batch, dict) else batch
    if not isinstance(items, list | tuple):
        return None
    for item in reversed(items):
        if not isinstance(item, torch.Tensor) or item.dim() == 0 or len(item) != len(answer):
            continue
        if answer.dim() == 2 and answer.shape[1] > 1 and item.dim() == 1:  # noqa: PLR2004
            whole = not item.is_floating_point() and item.dtype != torch.bool
            if whole and 0 <= int(item.min()) and int(item.max()) < answer.shape[1]:
                return item
        elif item.is_floating_point() and item.numel() == answer.numel() and item is not batch[0]:
            return item
    return None
