"""The observer: ties torch's events to the instruments, and never shows in the program.

`torchdx run` makes one through `torchdx.boot`, `with torchdx.watch(...)` by itself. An
exception of ours ends the observation, is kept in the record and told at the end; it never reaches
the program.
"""

import contextlib
import functools
import os
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import RandomSampler, WeightedRandomSampler

from torchdx.events import hooks
from torchdx.events.cuts import BY_HAND_AFTER, ByHand, Cuts
from torchdx.events.deep import Deep
from torchdx.events.lens import Lens, tensors_in
from torchdx.events.loop import Loop
from torchdx.events.models import Models
from torchdx.events.numbers import Numbers
from torchdx.events.patches import Patches
from torchdx.events.recorder import Recorder, Sparse
from torchdx.events.sampling import Sampling
from torchdx.graph import capture
from torchdx.graph.names import Names
from torchdx.graph.sightings import Sightings
from torchdx.instruments import held
from torchdx.instruments.batches import Batches
from torchdx.instruments.checkpoints import Checkpoints
from torchdx.instruments.edits import Edits
from torchdx.instruments.governor import BUDGET, Governor, Level
from torchdx.instruments.inputs import Inputs
from torchdx.instruments.knobs import Knobs
from torchdx.instruments.layers import Layers
from torchdx.instruments.looks import Looks
from torchdx.instruments.losses import Losses
from torchdx.instruments.metrics import Metrics
from torchdx.instruments.neighbours import Neighbours
from torchdx.instruments.nonfinite import NonFinite
from torchdx.instruments.optimizers import Optimizers
from torchdx.instruments.overlap import Overlap
from torchdx.instruments.precision import Precision
from torchdx.instruments.predictions import Predictions
from torchdx.instruments.probing import Probing
from torchdx.instruments.randomness import Randomness
from torchdx.instruments.skips import Skips
from torchdx.instruments.speed import Speed
from torchdx.instruments.strides import Strides
from torchdx.instruments.tallies import Tallies
from torchdx.instruments.unread import Unread
from torchdx.instruments.weights import Weights
from torchdx.instruments.workers import Workers
from torchdx.rules.base import Finding
from torchdx.rules.ranking import Diagnosis, diagnose

LENS_STEPS = 5  # optimizer steps whose forwards are watched from the first
HELD_FROM = 4  # optimizer steps before variables are searched for losses
QUIET_DENSE = 50  # stretches without gradients, from one line, that are watched one by one
JUDGED_WITHOUT_STEPS = (12, 120, 1200)  # backward passes of a program that steps no optimizer
TOTALS_SHARE = 0.02  # counts are written again when this share of the run has gone by since

Told = Callable[[Finding], None]
P = ParamSpec("P")
Method = Callable[Concatenate["Observer", P], None]


_RUNNING: list["Observer"] = []


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Nothing that runs inside is the program's: whoever observes this process looks away."""
    awake = [observer for observer in _RUNNING if not observer.busy]
    for observer in awake:
        observer.busy = True
    try:
        yield
    finally:
        for observer in awake:
            observer.busy = False


def _safely(method: Method[P]) -> Method[P]:
    """What a hook calls: nothing while we are at work ourselves, and never an exception."""

    def guarded(self: "Observer", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.live and not self.busy:
            self.guard(method, self, *args, **kwargs)

    functools.update_wrapper(guarded, method)
    return guarded


class Observer:
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
        self.recorder = recorder
        self.live = self.busy = False
        self.failure: str | None = None
        self.spent_s = self._entered = 0.0
        self.on_exit: Callable[[int], None] | None = None
        self._told = told
        self._pid = os.getpid()
        self._patches: Patches | None = None
        self._loop = Loop(recorder)
        self._names = Names()
        self._models = Models(recorder, self._names)
        self._looks = Looks(recorder, self._models.label)
        self._sightings = Sightings(recorder, self._loop, self._models, self._looks)
        cuts = Cuts(recorder.frames, self._shielded(self._cut))
        self._by_hand = ByHand(recorder, self._names)
        self._deep = Deep(recorder, self._loop, cuts, eager=eager)
        self._governor = Governor(budget)
        self._sampling = Sampling(
            recorder,
            self._governor,
            lambda: self._lens.arm("sample"),
            lambda: self._lens.disarm("sample"),
        )
        self._sightings.wants_lines = self._new_structure
        self._lens = Lens(
            recorder,
            self._loop,
            self._names,
            safely=self._shielded,
            sampling=self._sampling,
        )
        layers = Layers(recorder, self._names)
        self._sampling.model_called = self._model_called
        self._sampling.module_called = layers.called
        batches = Batches(recorder)
        self._strides = Strides(recorder)
        self._watch_judging(recorder)
        self._probing = Probing(recorder, self._looks.optimizers)
        self._sampling.wanted = self._probing.wants
        self._sampling.instruments = [
            layers,
            Predictions(recorder),
            Weights(recorder, self._names),
            self._strides,
            batches,
            Inputs(recorder, batches),
            Neighbours(recorder, batches),
            Overlap(recorder, batches),
            self._probing,
            self._metrics,
        ]
        self._speed = Speed(
            recorder, self._names, self._program_time, self._shielded, lambda: self.busy
        )
        self._precision = Precision(recorder, self._models.label)
        self._nonfinite = NonFinite(
            recorder, self._loop, self._models.label, self._precision.under_scaler
        )
        self._edits = Edits(recorder, self._models.label)
        self._skips = Skips(recorder, self._loop)
        self._losses = Losses(recorder)
        self._optimizers = Optimizers(recorder, self._loop, self._models)
        self._checkpoints = Checkpoints(recorder, self._names, self._loop)
        self._randomness = Randomness(recorder)
        self._knobs = Knobs(recorder, self._models)
        self._workers = Workers(recorder)
        self._iterators: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._judged = Sparse(3, ratio=2.0)
        self._off_depth = self._stepped = 0
        self._quiet: dict[int | None, tuple[Sparse, int]] = {}
        self._cuts_seen: set[tuple[str, int | None]] = set()
        self._weighted: set[int] = set()
        self._modes_seen: set[tuple[int | None, bool]] = set()
        self._seed_state = 0
        self._reported: set[str] = set()
        self._began = self._totals_at = time.monotonic()

    def _watch_judging(self, recorder: Recorder) -> None:
        """Set up what follows how the program judges its model, and on which data."""
        self._data = Numbers()
        self._metrics = Metrics(recorder, self._shielded)
        self._tallies = Tallies(recorder, self._data)
        self._unread = Unread(recorder, self._data)

    # -- beginning and end -------------------------------------------------------------------

    def start(self) -> None:
        """Put the hooks in place."""
        _RUNNING.append(self)
        self._patches = hooks.install(self)
        os.register_at_fork(after_in_child=self._forked)
        self.live = True
        self._speed.start()
        self._lens.arm("beginning")
        self._deep.start()

    def introduce(self, model: nn.Module | None, optimizer: Optimizer | None) -> None:
        """Take in what was made before the observation began."""
        if model is not None:
            self._shielded(self._names.adopt)(model)
            self._shielded(self._models.see)(model)
        if optimizer is not None:
            self.optimizer_made(optimizer)

    def stop(self) -> None:
        """Take every hook away; harmless when there is none."""
        if self in _RUNNING:
            _RUNNING.remove(self)
        self.live = False
        self._metrics.end()
        self._deep.end()
        self._lens.disarm()
        self._nonfinite.end()
        self._speed.stop()
        if self._patches is not None:
            self._patches.undo()
            self._patches = None

    def finish(self, **end: Any) -> Diagnosis:
        """Stop, write what is left, and judge the whole run."""
        if self.live:
            self.guard(self._write_rest)
        self.stop()
        diagnosis = diagnose(self.recorder.record)
        for finding in diagnosis.findings:
            self._keep(finding)
        elapsed = time.monotonic() - self._began
        sampled = {level.name.lower(): n for level, n in self._governor.counts.items()}
        facts = {"failure": self.failure, "sampled": sampled, "budget": self._governor.budget}
        times = {"elapsed_s": elapsed, "spent_s": self.spent_s, **facts}
        self.recorder.emit({"e": "end", **times, **end}, now=True)
        self.recorder.writer.close()
        return diagnosis

    def guard(self, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run our own code: timed, in its own process only, failing open."""
        if os.getpid() != self._pid:
            return
        began = self._entered = time.perf_counter()
        self.busy = True
        try:
            function(*args, **kwargs)
            self.recorder.writer.tick()
        except Exception as error:  # noqa: BLE001  # whatever it is, the program goes on
            self._disarm(error)
        finally:
            self.busy = False
            self.spent_s += time.perf_counter() - began

    def _program_time(self) -> float:
        """Seconds on a clock that stands still while we are at work."""
        return (self._entered if self.busy else time.perf_counter()) - self.spent_s

    def _shielded(self, function: Callable[P, None]) -> Callable[P, None]:
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            if self.live and not self.busy:
                self.guard(function, *args, **kwargs)

        return guarded

    def _disarm(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        self.failure = f"{type(error).__name__}: {error} ({place})"
        trace = "".join(traceback.format_exception(error))
        self.stop()
        self.recorder.writer.append(
            {"e": "failure", "text": self.failure, "trace": trace}, now=True
        )

    def _forked(self) -> None:
        """A forked child works on, unobserved."""
        self.live = False

    def _write_rest(self) -> None:
        self._loop.close()
        self._lens.collected()
        self._losses.flush()
        self._nonfinite.flush()
        self._skips.flush()
        self._workers.flush()
        self._unread.flush()
        self._sampling.flush()
        self._speed.flush()
        self._sightings.close()
        self._totals()

    @property
    def trained(self) -> bool:
        """Whether anything like training was seen."""
        return self._loop.backwards > 0 or self.recorder.steps > 0

    # -- backward and step -------------------------------------------------------------------

    @_safely
    def before_backward(self, tensors: Any) -> None:
        """`torch.autograd.backward(tensors)` begins."""
        root = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors), None)
        self._speed.timing.backward()
        self._metrics.end()
        self._deep.before_backward()
        line = self.recorder.frames.here()
        self._looks.before_backward()
        self._lens.backward()
        sampled = self._sampling.level is not Level.NONE
        graph = self._sightings.backward(root, line, sampled=sampled)
        seen = self._sightings.take()
        self._precision.before_backward(graph, seen)
        self._nonfinite.before_backward(root, graph, seen)
        self._edits.before_backward(root, seen)
        self._loop.backward(line, graph)
        self._sampling.before_backward(root, graph, line)
        self.recorder.writer.release()
        self._losses.backward(root)

    @_safely
    def after_backward(self, error: BaseException | None) -> None:
        """It has ended, or failed."""
        self._speed.backward_ended()
        if error is not None:
            text = f"{type(error).__name__}: {error}"[:300]
            self.recorder.event("backward-failed", text=text)
            self._edits.failed(error)
        self._precision.after_backward()
        self._nonfinite.after_backward(failed=error is not None)
        self._looks.after_backward()
        self._sampling.after_backward()
        self._sightings.ended()
        self._deep.after_backward()
        if not self._loop.optimizer_steps and self._loop.backwards in JUDGED_WITHOUT_STEPS:
            self._judge()

    @_safely
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was constructed."""
        self._met(optimizer)

    @_safely
    def optimizer_failed(self, error: BaseException) -> None:
        """An optimizer could not be made: mostly for want of parameters."""
        self._models.see_all()
        self.recorder.event("optimizer-failed", text=f"{type(error).__name__}: {error}"[:300])

    @_safely
    def before_step(self, optimizer: Optimizer) -> None:
        """`optimizer.step` begins; with a closure, forward and backward are still to come."""
        self._metrics.end()
        number = self._met(optimizer)
        if number not in self._loop.optimizer_steps:
            self._optimizers.describe(optimizer, number)
        self._precision.before_step(optimizer)
        self._looks.before_step(number)
        self._speed.timing.step_begins()

    @_safely
    def after_step(self, optimizer: Optimizer) -> None:
        """It has ended."""
        number = self._met(optimizer)
        line = self.recorder.frames.here()
        step = self._loop.step(number, line)
        self._edits.stepped(optimizer, line)
        self._speed.timing.step_ended()
        if step == 1:
            facts = {"optimizer": number, "loader": self._loop.loader, "loss": self._losses.last()}
            self.recorder.emit({"e": "first-step", **facts})
        self.recorder.writer.release()
        self._optimizers.stepped(optimizer, number)
        self._strides.stepped(optimizer, number, step)
        self._losses.step()
        if step > self._stepped:
            self._stepped = step
            self._speed.cycle_ended(step, patched=self._deep.on)
            self._lens.disarm("sample")
            self._sampling.stepped(step, self.spent_s - self._probing.spent_s)
        sampled = self._sampling.level is Level.FULL
        if self._looks.after_step(number, step, line, sampled=sampled) and step >= HELD_FROM:
            held.look(self.recorder)
        self._deep.maybe_end()
        if self.recorder.steps == BY_HAND_AFTER:
            self._by_hand.look()
        if self.recorder.steps >= LENS_STEPS:
            self._lens.collected()
        self._lens.stepped(number, lambda: self._optimizers.ids_of(optimizer))
        self._lens.disarm("phase", "mode")
        if self._judged.due(self.recorder.steps):
            self._judge()
        elif time.monotonic() - self._totals_at > 2 + TOTALS_SHARE * (
            self._totals_at - self._began
        ):
            self._totals()

    def _met(self, optimizer: Optimizer) -> int:
        number = self._optimizers.made(optimizer)
        self._looks.add(number, optimizer)
        return number

    @_safely
    def gradients_cleared(self, thing: Any) -> None:
        """`zero_grad` of an optimizer or a module has run."""
        number = self._met(thing) if isinstance(thing, Optimizer) else 0
        self._loop.token("zero", self.recorder.frames.here(), number)
        self._looks.cleared(lambda: self._optimizers.ids_of(thing))

    @_safely
    def mark(self, kind: str) -> None:
        """Something that belongs to the step under way: `clip`, `unscale`, `grad`, ..."""
        self._loop.token(kind, self.recorder.frames.here())
        if kind == "clip":
            self._precision.clipped()

    @_safely
    def scaler_called(self, kind: str, optimizer: Any) -> None:
        """A method of an enabled gradient scaler begins."""
        self._precision.scaler_called(kind, optimizer)

    @_safely
    def scaler_returned(self, kind: str) -> None:
        """It has returned."""
        self._precision.scaler_returned(kind)

    @_safely
    def scaler_failed(self, error: BaseException) -> None:
        """It has raised an error instead."""
        self._precision.scaler_failed(error)

    @_safely
    def clipped(self, norm: Any, most: Any) -> None:
        """`clip_grad_norm_` has run: the norm that it found, and the most that it leaves."""
        if self._sampling.level is not Level.NONE:
            self._strides.clipped(self._sampling.step, norm, most)

    # -- data and forwards -------------------------------------------------------------------

    def _model_called(self) -> None:
        """The program calls a model; told only while the lens is armed."""
        self._metrics.end()
        self._deep.forward()
        self._speed.timing.called()

    def _new_structure(self) -> None:
        """A loss of a new structure has turned up late: its lines and rows are not known."""
        self._deep.again()
        self._sampling.look_again()

    @_safely
    def loader_starting(self, loader: Any) -> None:
        """A `DataLoader` is about to be iterated from its start."""
        self._speed.loader_starting()
        self._workers.starting(loader)

    @_safely
    def loader_started(self, loader: Any, iterator: Any) -> None:
        """A `DataLoader` is iterated from its start. Loaders of one data set count as one."""
        self._lens.arm("phase")
        sampler = getattr(loader, "sampler", None)
        shuffled = isinstance(sampler, RandomSampler)
        number = self._data.of(getattr(loader, "dataset", loader))
        self._unread.read(getattr(loader, "dataset", loader))
        if isinstance(sampler, WeightedRandomSampler) and number not in self._weighted:
            self._weighted.add(number)
            self.recorder.event("weighted-sampler", loader=number)
        self._iterators[iterator] = number
        self._speed.loader_started(number, loader)
        line = self.recorder.frames.here()
        self._workers.started(iterator, number, getattr(loader, "dataset", None), line)
        self._loop.open_pass(number, line=line, shuffled=shuffled)

    def in_worker(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        """A process of a `DataLoader` begins to work: this runs in that process."""
        return self._workers.in_worker(original, args, kwargs)

    def batch_wanted(self, iterator: Any) -> None:
        """It is asked for a batch. Only timed, at nearly every step."""
        if self.live and not self.busy and self._speed.timing.wanted():
            self.guard(self._speed.waiting, iterator)

    @_safely
    def batch_failed(self) -> None:
        """It has raised an exception."""
        self._speed.missed()

    @_safely
    def batch_yielded(self, iterator: Any, batch: Any) -> None:
        """It has yielded a batch."""
        number = self._iterators.get(iterator)
        self._speed.yielded(number or 0)
        self._workers.yielded(iterator, batch)
        if number is not None:
            self._skips.batch_over()
            rows = next((len(t) for t in tensors_in(batch) if t.dim()), 0)
            self._loop.batch(number, batch, self.recorder.frames.here(), rows)

    @_safely
    def loader_ended(self, iterator: Any) -> None:
        """It has come to its end."""
        self._speed.missed()
        number = self._iterators.get(iterator)
        if number is not None:
            self._skips.batch_over()
            if (closing := self._loop.under_way(number)) is not None:
                self._tallies.ended(closing)
            self._loop.close_pass(number, complete=True)

    def gradients_off(self) -> None:
        """A `torch.no_grad` or `torch.inference_mode` is entered: maybe a validation begins."""
        if self.live and not self.busy:
            self._off_depth += 1
            if self._off_depth == 1:
                self._speed.timing.gradients(on=False)
                self.guard(self._maybe_validation)

    def gradients_on(self) -> None:
        """It is left."""
        if self.live and not self.busy:
            self._off_depth = max(0, self._off_depth - 1)
            if self._off_depth == 0:
                self._speed.timing.gradients(on=True)
                self._lens.disarm("quiet")

    def _maybe_validation(self) -> None:
        if self.recorder.frames.inside_forward():
            return
        line = self.recorder.frames.here()
        sparse, count = self._quiet.get(line, (Sparse(QUIET_DENSE), 0))
        self._quiet[line] = (sparse, count + 1)
        if sparse.due(count + 1):
            self._lens.arm("quiet")

    @_safely
    def mode_set(self, module: Any, *, training: bool) -> None:
        """`module.train(training)` was called on a whole model, not on a part by its parent."""
        if self._names.parent(module) is not None:
            return
        self._lens.mode_set(training=training)
        line = self.recorder.frames.here()
        if (line, training) not in self._modes_seen:
            self._modes_seen.add((line, training))
            path = self._names.path(module)
            self.recorder.event("mode", line=line, model=path, training=training)

    @_safely
    def module_registered(self, parent: Any, name: str, child: Any) -> None:
        """A module was given a child."""
        self._names.registered(parent, name, child)
        if child is not None:
            self._models.child_given(parent, name, child)

    @_safely
    def parameter_registered(self, owner: Any) -> None:
        """A module was given a parameter."""
        self._names.parameter_registered(owner)
        self._models.parameter_given(owner, training=self._loop.backwards > 0)

    @_safely
    def compiling(self) -> None:
        """`torch.compile` or `Module.compile` was called."""
        self._metrics.forbid()
        self._deep.compiling()
        self._speed.compiling()
        self._lens.arm("compiled")  # to the end: hooks that come and go would recompile

    def _cut(self, tensor: torch.Tensor, operation: str, line: int | None) -> None:
        if operation == "data":
            self._edits.exposed(tensor, line)
        if (operation, line) in self._cuts_seen:
            return
        leaves = [tensor] if tensor.grad_fn is None else capture.walk(tensor.grad_fn).leaves
        upstream = [name for name in map(self._names.of, leaves) if name]
        if upstream:
            self._cuts_seen.add((operation, line))
            self._by_hand.behind(leaves)
            facts = {"op": operation, "line": line, "scalar": tensor.numel() == 1}
            self.recorder.emit({"e": "cut", **facts, "upstream": upstream[:2000]})

    # -- schedulers, states, randomness, knobs -----------------------------------------------

    @_safely
    def scheduler_made(self, scheduler: Any) -> None:
        """A learning-rate scheduler was constructed."""
        self._optimizers.scheduler_made(scheduler)

    @_safely
    def scheduler_stepped(self, scheduler: Any) -> None:
        """Its `step` was called."""
        self._optimizers.scheduler_stepped(scheduler)

    @_safely
    def state_taken(self, module: Any, state: Any) -> None:
        """`module.state_dict()` has returned."""
        self._checkpoints.taken(module, state, self.recorder.frames.here())

    @_safely
    def state_loaded(self, module: Any, state: Any) -> None:
        """`module.load_state_dict(state)` is about to run."""
        self._loop.close_quiet()  # what is measured after it is another state of the model
        if self.recorder.steps:
            self._unread.restored()
        self._checkpoints.loaded(module, state, self.recorder.frames.here())

    @_safely
    def saved(self, thing: Any) -> None:
        """`torch.save(thing)` is about to run."""
        self._checkpoints.saved(thing, self.recorder.frames.here())

    @_safely
    def seeding(self) -> None:
        """`torch.manual_seed` is about to run."""
        self._seed_state = self._randomness.state()

    @_safely
    def seeded(self, seed: int) -> None:
        """It has run."""
        line = self.recorder.frames.here()
        self._randomness.seeded(self._seed_state, int(seed), line, self._loop.backwards)

    @_safely
    def random_state_restored(self) -> None:
        """`torch.set_rng_state` has run."""
        self._randomness.restored()

    @_safely
    def knob_set(self, thing: Any, name: str, value: Any) -> None:
        """An attribute was set that nothing reads."""
        self._knobs.set(thing, name, value)

    @_safely
    def knob_read(self, thing: Any, name: str) -> None:
        """Such an attribute is read after all."""
        self._knobs.read(thing, name)

    def leaving(self, code: int) -> None:
        """`os._exit(code)` is about to run: nothing of ours will run after it."""
        if self.live and os.getpid() == self._pid and self.on_exit is not None:
            self.on_exit(code)

    # -- judging -----------------------------------------------------------------------------

    def _totals(self) -> None:
        self._totals_at = time.monotonic()
        self.recorder.emit(
            {
                "e": "totals",
                "steps": self.recorder.steps,
                "backwards": self._loop.backwards,
                "shapes": dict(self._loop.shape_counts),
                "graphs": dict(self._sightings.counts),
                "optimizers": dict(self._loop.optimizer_steps),
                "schedulers": {k: list(v) for k, v in self._optimizers.calls.items()},
            }
        )

    def _judge(self) -> None:
        """Ask the rules, and tell what is new."""
        self._totals()
        self._workers.flush()
        self._sampling.flush()
        self._speed.flush()
        for finding in diagnose(self.recorder.record, live=True).findings:
            if self._keep(finding):
                self._governor.alarm()
                if self._told is not None:
                    self._told(finding)

    def _keep(self, finding: Finding) -> bool:
        """Write a finding down; False when it was before."""
        if finding.code in self._reported:
            return False
        self._reported.add(finding.code)
        line = finding.line
        entry = {"e": "finding", "code": finding.code, "name": finding.name, "text": finding.text}
        facts = {"severity": finding.severity, "step": self.recorder.steps}
        where = {"file": line.file, "line": line.number} if line else {}
        self.recorder.emit({**entry, **facts, **where}, now=True)
        return True
