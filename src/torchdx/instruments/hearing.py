"""Hooks whose news one instrument takes: data, modules, schedulers, states, randomness."""

from typing import Any

from torchdx.events.guard import Guard, safely
from torchdx.events.recorder import Recorder
from torchdx.instruments.kit import Kit


class Hearing(Guard):
    """Passes on what hooks tell.

    Args:
        recorder: where what is seen goes.
        eager: whether a compiled program's first step may run eagerly, to see its loss graph.
        budget: the share of the program's time that measuring may take, 0 to 1.
    """

    def __init__(self, recorder: Recorder, *, eager: bool, budget: float) -> None:
        super().__init__(recorder)
        self._kit = Kit(self, eager=eager, budget=budget)
        self._seed_state = 0
        self._modes_seen: set[tuple[int | None, bool]] = set()

    # -- data and forwards -------------------------------------------------------------------

    @safely
    def loader_starting(self, loader: Any) -> None:
        """A `DataLoader` is about to be iterated from its start."""
        self._kit.loading.starting(loader)

    @safely
    def loader_started(self, loader: Any, iterator: Any) -> None:
        """It is."""
        self._kit.lens.arm("phase")
        self._kit.loading.started(loader, iterator)

    def in_worker(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        """A process of a `DataLoader` begins to work: this runs in that process."""
        return self._kit.loading.workers.in_worker(original, args, kwargs)

    def batch_wanted(self, iterator: Any) -> None:
        """It is asked for a batch. Only timed, at nearly every step."""
        if self.live and not self.busy and self._kit.speed.timing.wanted():
            self.guard(self._kit.speed.waiting, iterator)

    @safely
    def batch_failed(self) -> None:
        """It has raised an exception."""
        self._kit.loading.failed()

    @safely
    def batch_yielded(self, iterator: Any, batch: Any) -> None:
        """It has yielded a batch."""
        self._kit.loading.yielded(iterator, batch)

    @safely
    def loader_ended(self, iterator: Any) -> None:
        """It has come to its end."""
        self._kit.loading.ended(iterator)

    def gradients_off(self) -> None:
        """A `torch.no_grad` or `torch.inference_mode` is entered: maybe a validation begins."""
        if self.live and not self.busy and self._kit.stretches.enter():
            self.guard(self._stretch_begins)

    def gradients_on(self) -> None:
        """It is left."""
        if self.live and not self.busy and self._kit.stretches.leave():
            self.guard(self._stretch_ends)

    def _stretch_begins(self) -> None:
        self._kit.speed.timing.gradients(on=False)
        self._kit.stretches.begin()

    def _stretch_ends(self) -> None:
        self._kit.speed.timing.gradients(on=True)
        self._kit.stretches.end()

    @safely
    def mode_set(self, module: Any, *, training: bool) -> None:
        """`module.train(training)` was called on a whole model, not on a part by its parent."""
        if self._kit.names.parent(module) is not None:
            return
        self._kit.lens.mode_set(training=training)
        line = self.recorder.frames.here()
        if (line, training) not in self._modes_seen:
            self._modes_seen.add((line, training))
            path = self._kit.names.path(module)
            self.recorder.event("mode", line=line, model=path, training=training)

    @safely
    def module_registered(self, parent: Any, name: str, child: Any) -> None:
        """A module was given a child."""
        self._kit.names.registered(parent, name, child)
        if child is not None:
            self._kit.models.child_given(parent, name, child)

    @safely
    def parameter_registered(self, owner: Any) -> None:
        """A module was given a parameter."""
        self._kit.names.parameter_registered(owner)
        self._kit.models.parameter_given(owner, training=self._kit.loop.backwards > 0)

    @safely
    def compiling(self) -> None:
        """`torch.compile` or `Module.compile` was called."""
        self._kit.metrics.forbid()
        self._kit.deep.compiling()
        self._kit.speed.compiling()
        self._kit.lens.arm("compiled")  # to the end: hooks that come and go would recompile

    # -- schedulers, states, randomness, knobs -----------------------------------------------

    @safely
    def scheduler_made(self, scheduler: Any) -> None:
        """A learning-rate scheduler was constructed."""
        self._kit.optimizers.scheduler_made(scheduler)

    @safely
    def scheduler_stepped(self, scheduler: Any, given: Any) -> None:
        """Its `step` was called, and given a metric or an epoch."""
        self._kit.optimizers.scheduler_stepped(scheduler, given)

    @safely
    def state_taken(self, module: Any, state: Any) -> None:
        """`module.state_dict()` has returned."""
        self._kit.checkpoints.taken(module, state, self.recorder.frames.here())

    @safely
    def state_loaded(self, module: Any, state: Any) -> None:
        """`module.load_state_dict(state)` is about to run."""
        self._kit.loop.close_quiet()  # what is measured after it is another state of the model
        if self.recorder.steps:
            self._kit.loading.unread.restored()
        self._kit.checkpoints.loaded(module, state, self.recorder.frames.here())

    @safely
    def saved(self, thing: Any) -> None:
        """`torch.save(thing)` is about to run."""
        self._kit.checkpoints.saved(thing, self.recorder.frames.here())

    @safely
    def seeding(self) -> None:
        """`torch.manual_seed` is about to run."""
        self._seed_state = self._kit.randomness.state()

    @safely
    def seeded(self, seed: int) -> None:
        """It has run."""
        line = self.recorder.frames.here()
        self._kit.randomness.seeded(self._seed_state, int(seed), line, self._kit.loop.backwards)

    @safely
    def random_state_restored(self) -> None:
        """`torch.set_rng_state` has run."""
        self._kit.randomness.restored()

    @safely
    def knob_set(self, thing: Any, name: str, value: Any) -> None:
        """An attribute was set that nothing reads."""
        self._kit.knobs.set(thing, name, value)

    @safely
    def knob_read(self, thing: Any, name: str) -> None:
        """Such an attribute is read after all."""
        self._kit.knobs.read(thing, name)
