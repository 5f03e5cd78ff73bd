"""Looks at forwards while it is armed: in the first steps, and whenever a phase changes.

The hooks are torch's global ones, so that no module carries anything of ours, and they are taken
away between the stretches that are of interest.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from torchdx.events.frames import variables_of
from torchdx.events.identity import ByIdentity
from torchdx.events.loop import Loop, Pass
from torchdx.events.recorder import Recorder, Sparse
from torchdx.events.sampling import Sampling
from torchdx.graph import capture
from torchdx.graph.names import Names
from torchdx.instruments.tensors import plain

Safely = Callable[[Callable[..., None]], Callable[..., None]]

MODES_DENSE = 50  # settings of a model's mode after which the next forward is watched each time
_WITHOUT_GRAD = 20  # forwards without gradients in training mode that are told, in the first steps
_SAMPLE = 64  # elements by which inputs are known again


class Mode(NamedTuple):
    """How a model stood when it was called to learn.

    active   modules that behave otherwise in training, and did; `idle` those that did not
    """

    training: bool
    active: int
    idle: int
    line: int | None


class Lens:
    """Sees which modules are called, in which mode, and what they answer in validation."""

    def __init__(
        self,
        recorder: Recorder,
        loop: Loop,
        names: Names,
        *,
        safely: Safely,
        sampling: Sampling,
    ) -> None:
        self._recorder, self._loop, self._names = recorder, loop, names
        self._sampling = sampling
        self._seen_before, self._seen_after = safely(self._before), safely(self._after)
        self._seen_failing = safely(self._failed)
        self._handles: list[Any] = []
        self._reasons: set[str] = set()
        self._depth = 0
        self._pass: Pass | None = None
        self._modes_set, self._modes_due = 0, Sparse(MODES_DENSE)
        self._chosen_at = -1
        self._called_with = ByIdentity[nn.Module, Mode]()
        self._gone_back = ByIdentity[nn.Module, Mode]()
        self._told = ByIdentity[nn.Module, Mode]()
        self._whole, self._given = False, frozenset[int]()
        self._without_grad = 0
        self._scored: Any = None
        self._called = ByIdentity[nn.Module, None]()
        self._called_paths: set[str] = set()
        self._returned: set[str] = set()
        self._off: dict[str, int | None] = {}
        self._grad_outside = False
        self._collecting = True

    def arm(self, reason: str) -> None:
        """Watch forwards until every reason given is over."""
        self._reasons.add(reason)
        if not self._handles:
            self._depth = 0
            self._handles = [
                torch_module.register_module_forward_pre_hook(self._pre_hook),
                torch_module.register_module_forward_hook(
                    self._hook, with_kwargs=True, always_call=True
                ),
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
            called = self._called_paths.union(map(self._names.path, self._called))
            facts = {"modules": sorted(called), "returned": sorted(self._returned)}
            for path, line in self._off.items():
                self._recorder.event("called-without-grad", line=line, model=path)
            self._recorder.emit({"e": "called", **facts})
            self.disarm("beginning")

    def mode_set(self, *, training: bool) -> None:
        """The program set the mode of a whole model: its next forwards show what came of it."""
        if training:
            self._chosen_at = self._loop.backwards
        self._modes_set += 1
        if self._modes_due.due(self._modes_set):
            self.arm("mode")

    def backward(self) -> None:
        """A backward pass begins: it goes back through what was called with gradients on."""
        if self._called_with:
            self._gone_back.update(self._called_with)
            self._called_with.clear()

    def stepped(self, optimizer: int, parameters: Callable[[], set[int]]) -> None:
        """An optimizer, which holds `parameters` (by `id`), has stepped."""
        if not self._gone_back:
            return
        held = parameters()
        for module, mode in list(self._gone_back.items()):
            inner = list(module.parameters())
            if any(id(p) in held for p in inner):
                del self._gone_back[module]
                known = self._told.get(module)
                if known is None or known[:3] != mode[:3]:
                    self._told[module] = mode
                    frozen = sum(not p.requires_grad for p in inner)
                    steps = self._loop.optimizer_steps.get(optimizer, 0)
                    facts = {"optimizer": optimizer, "frozen": frozen, "steps": steps}
                    self._tell(module, mode, facts)

    def _tell(self, module: nn.Module, mode: Mode, facts: dict[str, int]) -> None:
        self._recorder.event(
            "learning-mode",
            line=mode.line,
            model=self._names.path(self._names.unwrap(module)),
            training=mode.training,
            active=mode.active,
            idle=mode.idle,
            **facts,
        )

    # A hook that begins so is traced away by torch.compile: no recompilation, no graph break.

    def _pre_hook(self, module: nn.Module, args: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._seen_before(module, args)

    def _hook(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if torch.compiler.is_compiling():
            return
        if len(rest) == 2:  # noqa: PLR2004  # keyword arguments and output
            self._seen_after(module, args, *rest)
        else:
            self._seen_failing()

    def _before(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        grad = torch.is_grad_enabled()
        if self._depth == 1:
            self._grad_outside = grad
            if next(module.parameters(), None) is not None:
                self._top_called(module, args, grad=grad)
        elif self._collecting and self._grad_outside and not grad:
            self._called_off(module)
        if self._collecting and grad and module not in self._called:
            self._called[module] = None
            if (
                self._names.parent(module) is not None
                or next(module.parameters(), None) is not None
            ):
                self._called_paths.add(self._names.path(module))  # it may be gone before long

    def _called_off(self, module: nn.Module) -> None:
        """A part is called with gradients off, inside a forward that has them on."""
        path = self._names.path(module)
        inside = any(path.startswith(outer + ".") for outer in self._off)
        if not inside and path not in self._off and next(module.parameters(), None) is not None:
            self._off[path] = self._recorder.frames.here()

    def _top_called(self, module: nn.Module, args: Any, *, grad: bool) -> None:
        self._names.adopt(module)
        self._whole = self._names.parent(module) is None
        self._given = frozenset(map(id, args))
        line = self._recorder.frames.here()
        path = self._names.path(self._names.unwrap(module))
        self._sampling.called(module, path, args, learning=grad, line=line)
        if grad and any(p.requires_grad for p in module.parameters()):
            self._called_with[module] = _mode(module, line)
        if not grad and module.training and self._collecting and self._without_grad < _WITHOUT_GRAD:
            self._without_grad += 1
            self._recorder.event("forward-without-grad", line=line, model=path)
        self._pass = self._loop.forward(grad=grad, line=line)
        if self._pass is not None:
            self._describe(self._pass, module, grad=grad, line=line)
            if self._pass.no_grad and self._pass.training and self._pass.active:
                _know_again(self._pass, args)

    def _describe(self, current: Pass, module: nn.Module, *, grad: bool, line: int | None) -> None:
        """Which model a phase is about: the first, or the first that is called to learn."""
        if current.training is not None and not (grad and current.no_grad):
            return
        current.model = self._names.path(self._names.unwrap(module))
        current.training, current.no_grad = module.training, not grad
        current.active = sum(1 for _ in mode_dependent(module, training=True))
        current.chosen = self._chosen_at == self._loop.backwards
        current.line = line or current.line

    def _failed(self) -> None:
        """A forward has raised an exception; torch tells no more of it."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._pass = None
            self._sampling.failed()

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self._depth = max(0, self._depth - 1)
        self._sampling.inner(module, args, output)
        if self._depth == 0 and self._collecting:
            made_by = {p for tensor in tensors_in(output) for p in capture.leaves(tensor)}
            self._returned.update(filter(None, map(self._names.of, made_by)))
        if self._depth == 0:
            current, self._pass = self._pass, None
            labels = None
            if (
                current is not None
                and current.backwards == 0
                and (current.batch is not None or current.loader == 0)
            ):
                labels = self._score(current, output)
            loader = 0 if current is None else current.loader
            self._sampling.returned(kwargs, output, labels, loader)

    def _score(self, current: Pass, output: Any) -> torch.Tensor | None:
        """Hold a model's answer against the labels of its batch, once a batch; returns them."""
        if current.batch is not None and self._scored is current.batch:
            return None
        answer, labels = first_tensor(output), None
        if plain(answer) and answer.dim() and answer.numel() and answer.is_floating_point():
            if current.batch is None:
                labels = self._labels_nearby(answer) if self._whole else None
            else:
                labels = _labels_for(answer, current.batch)
        if answer is None or labels is None:
            return None
        self._scored = current.batch
        with torch.no_grad():
            rows = len(answer)
            labels = labels.detach().to(answer.device)
            if labels.is_floating_point():
                loss = torch.mean(
                    (answer.detach().reshape(rows, -1) - labels.reshape(rows, -1)) ** 2
                )
            else:
                loss = nn.functional.cross_entropy(answer.detach().float(), labels.long())
                current.right += float((answer.argmax(1) == labels).sum())
                current.scored += rows
                current.first, current.last = current.first or rows, rows
            current.loss_sum += float(loss) * rows
            current.measured += rows
        return labels

    def _labels_nearby(self, answer: torch.Tensor) -> torch.Tensor | None:
        """The one variable of the calling function that can be the labels of `answer`."""
        frames = self._recorder.frames.user_frames(1)
        fitting = {}
        for value in variables_of(frames[0]).values() if frames else ():
            known = (
                not isinstance(value, torch.Tensor)
                or value.requires_grad
                or id(value) in self._given
            )
            if not known:
                labels = _labels_for(answer, (None, value))
                if labels is not None:
                    fitting[id(labels)] = labels
        return next(iter(fitting.values())) if len(fitting) == 1 else None


def _mode(module: nn.Module, line: int | None) -> Mode:
    active = sum(1 for _ in mode_dependent(module, training=True))
    idle = sum(1 for _ in mode_dependent(module, training=False))
    return Mode(module.training, active, idle, line)


def mode_dependent(root: nn.Module, *, training: bool) -> Iterator[nn.Module]:
    """Modules that behave otherwise in training than in evaluation, and are in the given mode.

    A batch norm whose own weights are frozen is left out where it is in evaluation: it is meant.
    """
    for module in root.modules():
        if module.training is not training:
            continue
        if isinstance(module, _BatchNorm):
            weight = module._parameters.get("weight")  # not one that is computed when asked for
            if module.track_running_stats and (training or weight is None or weight.requires_grad):
                yield module
        elif isinstance(module, _DropoutNd):
            if module.p > 0:
                yield module
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0:
            yield module


def _know_again(current: Pass, args: Any) -> None:
    """Number the first inputs of a phase, and notice when they come twice running."""
    if current.batches > 2 or current.repeated:  # noqa: PLR2004  # the first two are enough
        return
    given = next((a for a in args if isinstance(a, torch.Tensor)), None)
    if not plain(given) or given.numel() == 0:
        return
    with torch.no_grad():
        flat = given.detach().reshape(-1)
        few = flat[:: max(1, flat.numel() // _SAMPLE)][:_SAMPLE].tolist()
    number = zlib.crc32(repr((tuple(given.shape), few)).encode()) or 1
    if current.inputs == 0:
        current.inputs = number
    else:
        current.repeated = current.inputs == number


def tensors_in(value: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    """The tensors of a model's output: itself, or those in tuples and mappings."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(item, depth - 1)


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
            if whole and int(item.min()) >= 0 and int(item.max()) < answer.shape[1]:
                return item
        elif item.is_floating_point() and item.numel() == answer.numel() and item is not batch[0]:
            return item
    return None
