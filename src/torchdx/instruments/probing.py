"""Makes the active probes in mid-run: on a copy of the model, between backward and step.

Every model that learns is probed at about its 2nd, 20th, 60th, 180th, 540th ... step, later where
probing has used its share of the time. One batch is fitted only where the loss is still high, and a
kernel regression on the same rows does better. Where curvature is measured, its distribution comes
with it; the loss along two lines costs forwards and is measured once, or where `every` is set at
about each doubling of the steps.

`probe` events hold `kind`, `model` and the numbers of the probe's dataclass in `torchdx.probes`, or
`because`: why it could not be made.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch.optim import Optimizer

from torchdx.events.frames import Frames
from torchdx.events.glimpse import Call, Glimpse
from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.probes.layers import Place
from torchdx.probes.mixing import mixing
from torchdx.probes.modes import modes
from torchdx.probes.one_batch import one_batch
from torchdx.probes.replay import factor_of
from torchdx.probes.sharpness import Sharpness, survey
from torchdx.probes.subject import Loss, Subject, Unmeasured, rebuild_loss
from torchdx.probes.zeroed import zeroed

STEPS = (2, 20, 60)  # then each three times the one before
MODELS = 3  # of a program
SHARE, GRACE_S = 0.01, 1.0  # of the program's time, and beside it
RESERVE_S = 0.2  # kept back for the modes of later steps
NEVER = 1 << 62  # steps
CURVED_FROM = 20  # Adam's scales are those of the first gradients before
FIT_FROM, FITS = 150, 2  # steps before one batch is fitted, and how often
HIGH = 0.25  # of the first loss: what is below has learnt
LOSSES = 10  # sampled values whose mean tells that

Optimizers = Callable[[], Iterable[Optimizer]]


@dataclass
class _Probed:
    """What is known of one model's probes."""

    due: int = STEPS[0]
    curved: int = CURVED_FROM
    pictured: int = CURVED_FROM
    mixed: bool = False
    fits: int = 0
    first: float | None = None
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=LOSSES))

    @property
    def high(self) -> bool:
        """Whether the last losses are still of the size of the first."""
        return self.first is not None and fmean(self.losses) > HIGH * self.first > 0


class Probing(Quiet):
    """Runs the probes when they are due."""

    def __init__(self, recorder: Recorder, optimizers: Optimizers) -> None:
        self._recorder, self._optimizers = recorder, optimizers
        self._models: dict[str, _Probed] = {}
        self._began = time.monotonic()
        self._ready: tuple[Call, Loss | None, float] | None = None
        self._told: set[tuple[str, str, str]] = set()
        self.spent_s = 0.0
        self.every = 0  # steps between measurements of curvature; 0: with the other probes
        self.max_norm: float | None = None  # to which the program clips gradients

    def wants(self, step: int) -> bool:
        """Whether a step should be seen closely enough to probe it."""
        return self._affords() and any(self._due(model, step) for model in self._models.values())

    def _due(self, model: _Probed, step: int) -> bool:
        return step >= model.due or (self.every > 0 and step >= model.curved)

    def learning(self, glimpse: Glimpse) -> None:
        """Rebuild the loss, while the graph still has what it keeps."""
        self._ready = None
        call = glimpse.entry
        if call is None or call.state is None:
            return
        probed = self._probed(call)
        if probed is None or not self._due(probed, glimpse.step) or not self._affords():
            return
        for other in (call, *(c for c in glimpse.calls if c is not call)):
            loss = rebuild_loss(other.output, glimpse.root)
            if loss is not None and not other.follows:
                self._ready = other, loss, factor_of(glimpse.root)
                return
        self._ready = call, None, 1.0

    def learned(self, glimpse: Glimpse) -> None:
        """Probe, with the weights of the forward."""
        call = glimpse.entry
        if call is not None and call.path in self._models and glimpse.root.numel() == 1:
            probed, loss = self._models[call.path], float(glimpse.root.detach())
            probed.losses.append(loss)
            probed.first = loss if probed.first is None else probed.first
        ready, self._ready = self._ready, None
        if ready is None:
            return
        began = time.monotonic()
        call, rebuilt, factor = ready
        subject = Subject(
            call.model,
            call.args,
            call.kwargs or {},
            rebuilt,
            training=call.training,
            rng=call.state,
            output=call.output,
            value=float(glimpse.root.detach()) if rebuilt is not None else None,
            autocast=call.autocast,
            factor=factor,
        )
        self._probe(subject, call, glimpse.step)
        self.spent_s += time.monotonic() - began

    def _probed(self, call: Call) -> _Probed | None:
        if call.path not in self._models and len(self._models) < MODELS:
            self._models[call.path] = _Probed()
        return self._models.get(call.path)

    def _probe(self, subject: Subject, call: Call, step: int) -> None:
        probed = self._models.setdefault(call.path, _Probed())
        found, whole = self._teller(call), step >= probed.due
        if whole:
            probed.due = _after(step)
            self._compare(subject, probed, found, step)
        optimizer = self._optimizer(call)
        if step >= CURVED_FROM and optimizer is not None and self._affords(2 * RESERVE_S):
            probed.curved = step + self.every
            self._survey(subject, optimizer, probed, found, step)
        if whole and step >= FIT_FROM and probed.fits < FITS and probed.high:
            probed.fits += 1
            found("one-batch", one_batch(subject, only_behind=True))

    def _compare(
        self, subject: Subject, probed: _Probed, found: Callable[[str, Any], None], step: int
    ) -> None:
        """The answers of a copy with its modes, its rows and its inputs changed."""
        if not probed.mixed:
            probed.mixed = True
            found("mixing", mixing(subject))
        found("modes", modes(subject))
        if step >= CURVED_FROM and self._affords(RESERVE_S):
            found("zeroed", zeroed(subject))

    def _survey(
        self,
        subject: Subject,
        optimizer: Optimizer,
        probed: _Probed,
        found: Callable[[str, Any], None],
        step: int,
    ) -> None:
        """The largest curvature; where a picture is due, all eigenvalues and two lines as well."""
        due = step >= probed.pictured
        measured = survey(
            subject, optimizer, limit_s=self._left(), sliced=due, max_norm=self.max_norm
        )
        if isinstance(measured, Unmeasured):
            found("sharpness", measured)
            return
        found("sharpness", measured.sharpness)
        if due or not self.every:
            found("spectrum", measured.density)
        if measured.slice is not None:
            found("slice", measured.slice)
            probed.pictured = 2 * step if self.every else NEVER

    def _teller(self, call: Call) -> Callable[[str, Any], None]:
        def found(kind: str, measured: Any) -> None:
            if isinstance(measured, Unmeasured):
                reason = (kind, call.path, measured.because)
                if reason in self._told:
                    return
                self._told.add(reason)
            tell(self._recorder, kind, measured, model=call.path, line=call.line)
            if isinstance(measured, Sharpness):
                self._recorder.signals(self._recorder.steps, _signals(measured, call.path))

        return found

    def _left(self) -> float:
        return GRACE_S + SHARE * (time.monotonic() - self._began) - self.spent_s

    def _affords(self, reserve_s: float = 0.0) -> bool:
        return self._left() > reserve_s

    def _optimizer(self, call: Call) -> Optimizer | None:
        """The one that holds most of a model's parameters."""
        held = {id(p) for p in call.model.parameters()}
        shares = [(sum(id(p) in held for p in _parameters(o)), o) for o in self._optimizers()]
        best = max(shares, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None and best[0] else None


def _signals(found: Sharpness, place: str) -> dict[str, dict[str, float]]:
    """The largest curvature, its bounds, and the step size against what it bears."""
    values = {"": found.curvature, ".low": found.low, ".high": found.high}
    signals = {f"curvature.lambda_max{end}": {place: value} for end, value in values.items()}
    return signals | {"curvature.lr_ratio": {place: found.ratio}}


def tell(recorder: Recorder, kind: str, measured: Any, *, model: str, line: int | None) -> None:
    """Write down what a probe measured, or why it could not."""
    facts = {"kind": kind, "model": model, **_plain(recorder.frames, asdict(measured))}
    entry = {"e": "event", "kind": "probe", "step": recorder.steps, "line": line, "facts": facts}
    recorder.emit(entry)


def _plain(frames: Frames, value: Any) -> Any:
    """Places become numbers of lines, where they are the program's."""
    if isinstance(value, Place):
        return frames.number(*value) if frames.is_user(value.file) else None
    if isinstance(value, dict):
        return {key: _plain(frames, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(frames, item) for item in value]
    return value


def _parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _after(step: int) -> int:
    """The step from which the next probes are due."""
    due = next((s for s in STEPS if s > step), STEPS[-1])
    while due <= step:
        due *= 3
    return due
