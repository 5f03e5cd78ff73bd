"""The observer: hears of torch's events and tells the instruments; it never shows in the program.

`torchdx run` makes one through `torchdx.boot`, `with torchdx.watch(...)` by itself. An
exception of ours ends the observation, is kept in the record and told at the end; it never reaches
the program.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from torchdx.events import hooks
from torchdx.events.cuts import BY_HAND_AFTER
from torchdx.events.guard import resting, safely
from torchdx.events.patches import Patches
from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Instrument
from torchdx.instruments import held
from torchdx.instruments.governor import BUDGET, Level
from torchdx.instruments.hearing import Hearing
from torchdx.instruments.judge import WITHOUT_STEPS, Judge, Told
from torchdx.rules.ranking import Diagnosis

__all__ = ["Observer", "resting"]

LENS_STEPS = 5  # optimizer steps whose forwards are watched from the first
HELD_FROM = 4  # optimizer steps before variables are searched for losses


class Observer(Hearing):
    """Watches the training that happens in this process.

    Args:
        recorder: where what is seen goes.
        told: called once for each finding, while the run goes on.
        eager: whether a compiled program's first step may run eagerly, to see its loss graph.
        budget: the share of the program's time that measuring may take, 0 to 1.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        told: Told | None = None,
        eager: bool = True,
        budget: float = BUDGET,
    ) -> None:
        super().__init__(recorder, eager=eager, budget=budget)
        self.on_exit: Callable[[int], None] | None = None
        self._patches: Patches | None = None
        self._judge = Judge(recorder, self._kit.totals, told)
        self._stepped = 0
        self._behind: set[int] = set()  # optimizers that stepped since the last cycle ended

    def measure_curvature(self, every: int) -> None:
        """Measure it about every so many steps, as far as time is there; 0: as the rules need."""
        self._kit.probing.every = every

    # -- beginning and end -------------------------------------------------------------------

    def start(self) -> None:
        """Put the hooks in place."""
        self._patches = hooks.install(self)
        super().start()
        self._kit.start()

    def introduce(self, model: nn.Module | None, optimizer: Optimizer | None) -> None:
        """Take in what was made before the observation began."""
        if model is not None:
            self.shielded(self._kit.names.adopt)(model)
            self.shielded(self._kit.models.see)(model)
        if optimizer is not None:
            self.optimizer_made(optimizer)

    def listen(self, instrument: Instrument) -> None:
        """Have one more instrument told what sampled steps show."""
        self._kit.listen(instrument)

    def optimizers(self) -> list[Optimizer]:
        """Those that are in use."""
        return self._kit.looks.optimizers()

    def losses(self) -> list[float]:
        """Those of the steps so far that are recorded."""
        self._kit.losses.flush()
        return [loss for _, loss in self.recorder.record.losses]

    def ends(self) -> Iterator[Callable[[], object]]:
        """What there is to take away from torch, one after another."""
        yield from self._kit.ends()
        if self._patches is not None:
            yield self._patches.undo

    def finish(self, **end: Any) -> Diagnosis:
        """Stop, write what is left, and judge the whole run."""
        if self.live:
            self.guard(self._write_rest)
        self.stop()
        diagnosis = self._judge.close()
        governor = self._kit.governor
        sampled = {level.name.lower(): n for level, n in governor.counts.items()}
        facts = {"failure": self.failure, "sampled": sampled, "budget": governor.budget}
        elapsed = time.monotonic() - self._judge.began
        times = {"elapsed_s": elapsed, "spent_s": self.spent_s, **facts}
        self.recorder.emit({"e": "end", **times, **end}, now=True)
        self.recorder.writer.close()
        return diagnosis

    def _write_rest(self) -> None:
        self._kit.close()
        self._judge.count()

    def leaving(self, code: int) -> None:
        """`os._exit(code)` is about to run: nothing of ours will run after it."""
        if self.live and os.getpid() == self._pid and self.on_exit is not None:
            self.on_exit(code)

    @property
    def trained(self) -> bool:
        """Whether anything like training was seen."""
        return self._kit.loop.backwards > 0 or self.recorder.steps > 0

    def _ask(self) -> None:
        """Ask the rules what they make of it so far."""
        self._judge.count()
        self._kit.flush()
        if self._judge.ask():
            self._kit.governor.alarm()

    # -- backward and step -------------------------------------------------------------------

    @safely
    def before_backward(self, tensors: Any) -> None:
        """`torch.autograd.backward(tensors)` begins."""
        kit = self._kit
        root = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors), None)
        kit.speed.timing.backward()
        kit.metrics.end()
        kit.deep.before_backward()
        line = self.recorder.frames.here()
        kit.looks.before_backward()
        kit.lens.backward()
        graph = kit.sightings.backward(root, line, sampled=kit.sampled)
        seen = kit.sightings.take()
        kit.precision.before_backward(graph, seen)
        kit.nonfinite.before_backward(root, graph, seen)
        kit.edits.before_backward(root, seen)
        kit.loop.backward(line, graph)
        kit.sampling.before_backward(root, graph, line)
        self.recorder.writer.release()
        kit.losses.backward(root)

    @safely
    def after_backward(self, error: BaseException | None) -> None:
        """It has ended, or failed."""
        kit = self._kit
        kit.speed.backward_ended()
        if error is not None:
            text = f"{type(error).__name__}: {error}"[:300]
            self.recorder.event("backward-failed", text=text)
            kit.edits.failed(error)
        kit.precision.after_backward()
        kit.nonfinite.after_backward(failed=error is not None)
        kit.looks.after_backward()
        kit.sampling.after_backward()
        kit.sightings.ended()
        kit.deep.after_backward()
        if not kit.loop.optimizer_steps and kit.loop.backwards in WITHOUT_STEPS:
            self._ask()

    @safely
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was constructed."""
        self._met(optimizer)

    @safely
    def optimizer_failed(self, error: BaseException) -> None:
        """An optimizer could not be made: mostly for want of parameters."""
        self._kit.models.see_all()
        self.recorder.event("optimizer-failed", text=f"{type(error).__name__}: {error}"[:300])

    @safely
    def before_step(self, optimizer: Optimizer) -> None:
        """`optimizer.step` begins; with a closure, forward and backward are still to come."""
        kit = self._kit
        kit.metrics.end()
        number = self._met(optimizer)
        if number not in kit.loop.optimizer_steps:
            kit.optimizers.describe(optimizer, number)
            kit.knobs.settle()
        kit.precision.before_step(optimizer)
        kit.looks.before_step(number)
        kit.speed.timing.step_begins()

    @safely
    def after_step(self, optimizer: Optimizer) -> None:
        """It has ended."""
        kit = self._kit
        number = self._met(optimizer)
        line = self.recorder.frames.here()
        step = kit.loop.step(number, line)
        kit.edits.stepped(optimizer, line)
        kit.speed.timing.step_ended()
        if step == 1:
            facts = {"optimizer": number, "loader": kit.loop.loader, "loss": kit.losses.last()}
            self.recorder.emit({"e": "first-step", **facts})
        self.recorder.writer.release()
        kit.optimizers.stepped(optimizer, number)
        kit.strides.stepped(optimizer, number, step)
        kit.losses.step()
        if step > self._stepped:
            self._cycle_ended(step)
        elif number in self._behind:
            self._cycle_without_lead(number)
        else:
            self._behind.add(number)
        sampled = kit.sampling.level is Level.FULL
        if kit.looks.after_step(number, step, line, sampled=sampled) and step >= HELD_FROM:
            held.look(self.recorder)
        self._first_steps_end()
        kit.lens.stepped(number, lambda: kit.optimizers.ids_of(optimizer))
        kit.lens.disarm("phase", "mode")
        if self._judge.due():
            self._ask()
        else:
            self._judge.count_at_times()

    def _cycle_ended(self, step: int) -> None:
        """The optimizer that steps most has stepped."""
        self._stepped = step
        self._kit.speed.cycle_ended(step, patched=self._kit.deep.on)
        self._behind.clear()
        self._sample_next()

    def _cycle_without_lead(self, number: int) -> None:
        """Another optimizer has stepped twice meanwhile: it is its own turn."""
        self._behind = {number}
        self._sample_next()

    def _sample_next(self) -> None:
        """Choose how closely the next steps are looked at."""
        kit = self._kit
        kit.lens.disarm("sample")
        kit.sampling.stepped(self._stepped, self.spent_s - kit.probing.spent_s)

    def _first_steps_end(self) -> None:
        """What is looked at in the first steps alone may be over."""
        self._kit.deep.maybe_end()
        if self.recorder.steps == BY_HAND_AFTER:
            self._kit.by_hand.look()
        if self.recorder.steps >= LENS_STEPS:
            self._kit.lens.collected()

    def _met(self, optimizer: Optimizer) -> int:
        number = self._kit.optimizers.made(optimizer)
        self._kit.looks.add(number, optimizer)
        return number

    @safely
    def gradients_cleared(self, thing: Any) -> None:
        """`zero_grad` of an optimizer or a module has run."""
        number = self._met(thing) if isinstance(thing, Optimizer) else 0
        self._kit.loop.token("zero", self.recorder.frames.here(), number)
        self._kit.looks.cleared(lambda: self._kit.optimizers.ids_of(thing))

    @safely
    def mark(self, kind: str) -> None:
        """Something that belongs to the step under way: `clip`, `unscale`, `grad`, ..."""
        self._kit.loop.token(kind, self.recorder.frames.here())
        if kind == "clip":
            self._kit.precision.clipped()

    @safely
    def scaler_called(self, kind: str, optimizer: Any) -> None:
        """A method of an enabled gradient scaler begins."""
        self._kit.precision.scaler_called(kind, optimizer)

    @safely
    def scaler_returned(self, kind: str) -> None:
        """It has returned."""
        self._kit.precision.scaler_returned(kind)

    @safely
    def scaler_failed(self, error: BaseException) -> None:
        """It has raised an error instead."""
        self._kit.precision.scaler_failed(error)

    @safely
    def clipped(self, norm: Any, most: Any) -> None:
        """`clip_grad_norm_` has run: the norm that it found, and the most that it leaves."""
        self._kit.probing.max_norm = most if isinstance(most, int | float) else None
        if self._kit.sampled:
            self._kit.strides.clipped(self._kit.sampling.step, norm, most)
