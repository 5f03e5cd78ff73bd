"""All that watches a run, tied together: who hears of what, what is written at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from torchdx.events.cuts import ByHand, Cuts
from torchdx.events.deep import Deep
from torchdx.events.guard import Guard
from torchdx.events.lens import Lens
from torchdx.events.loop import Loop
from torchdx.events.models import Models
from torchdx.events.sampling import Instrument, Sampling
from torchdx.events.stretches import Stretches
from torchdx.graph import capture
from torchdx.graph.names import Names
from torchdx.graph.sightings import Sightings
from torchdx.instruments.batches import Batches
from torchdx.instruments.checkpoints import Checkpoints
from torchdx.instruments.edits import Edits
from torchdx.instruments.governor import Governor, Level
from torchdx.instruments.inputs import Inputs
from torchdx.instruments.knobs import Knobs
from torchdx.instruments.layers import Layers
from torchdx.instruments.loading import Loading
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
from torchdx.instruments.speed import Speed
from torchdx.instruments.strides import Strides
from torchdx.instruments.weights import Weights


class Kit:
    """The instruments, each once.

    Args:
        guard: runs our code inside the program; its recorder is where what is seen goes.
        eager: whether a compiled program's first step may run eagerly, to see its loss graph.
        budget: the share of the program's time that measuring may take, 0 to 1.
    """

    def __init__(self, guard: Guard, *, eager: bool, budget: float) -> None:
        self.recorder, self._guard = guard.recorder, guard
        self.governor = Governor(budget)
        self._cuts_seen: set[tuple[str, int | None]] = set()
        self._watch_structure(eager=eager)
        self._watch_forwards()
        self._watch_steps()
        self._sample()

    def _watch_structure(self, *, eager: bool) -> None:
        """Models, optimizers, graphs, the order of events."""
        recorder = self.recorder
        self.loop, self.names = Loop(recorder), Names()
        self.models = Models(recorder, self.names)
        self.looks = Looks(recorder, self.models.label)
        self.sightings = Sightings(recorder, self.loop, self.models, self.looks)
        self.sightings.wants_lines = self._new_structure
        self.by_hand = ByHand(recorder, self.names)
        cuts = Cuts(recorder.frames, self._guard.shielded(self._cut))
        self.deep = Deep(recorder, self.loop, cuts, eager=eager)
        self.optimizers = Optimizers(recorder, self.loop, self.models)
        self.checkpoints = Checkpoints(recorder, self.names, self.loop)
        self.randomness = Randomness(recorder)
        self.knobs = Knobs(recorder, self.models)

    def _watch_forwards(self) -> None:
        """Calls of models, and stretches without gradients."""
        recorder, shielded = self.recorder, self._guard.shielded
        self.sampling = Sampling(
            recorder,
            self.governor,
            lambda: self.lens.arm("sample"),
            lambda: self.lens.disarm("sample"),
        )
        self.lens = Lens(recorder, self.loop, self.names, safely=shielded, sampling=self.sampling)
        self.stretches = Stretches(recorder, self.lens)
        self.metrics = Metrics(recorder, shielded)

    def _watch_steps(self) -> None:
        """Every step, cheaply: time, data, losses, precision."""
        recorder, guard = self.recorder, self._guard
        clock, busy = guard.program_time, lambda: guard.busy
        self.speed = Speed(recorder, self.names, clock, guard.shielded, busy)
        self.loading = Loading(recorder, self.loop, self.speed)
        self.losses = Losses(recorder)
        self.precision = Precision(recorder, self.models.label)
        scaled = self.precision.under_scaler
        self.nonfinite = NonFinite(recorder, self.loop, self.models.label, scaled)
        self.edits = Edits(recorder, self.models.label)

    def _sample(self) -> None:
        """Some steps, closely."""
        recorder = self.recorder
        layers, batches = (
            Layers(recorder, self.names, self._guard.shielded),
            Batches(recorder, self.loop),
        )
        self.strides = Strides(recorder)
        self.probing = Probing(recorder, self.looks.optimizers)
        self.sampling.model_called = self._model_called
        self.sampling.module_called = layers.called
        self.sampling.instruments = [
            layers,
            Predictions(recorder),
            Weights(recorder, self.names),
            self.strides,
            batches,
            Inputs(recorder, batches),
            Neighbours(recorder, batches),
            Overlap(recorder, batches),
            self.probing,
            self.metrics,
        ]

    def listen(self, instrument: Instrument) -> None:
        """Have one more instrument told what sampled steps show."""
        self.sampling.instruments.append(instrument)

    @property
    def sampled(self) -> bool:
        """Whether the step under way is looked at."""
        return self.sampling.level is not Level.NONE

    # -- beginning and end -------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look."""
        self.speed.start()
        self.lens.arm("beginning")
        self.deep.start()

    def ends(self) -> Iterator[Callable[[], object]]:
        """What there is to take away from torch, one after another."""
        yield from (self.metrics.end, self.deep.end, self.lens.disarm)
        yield from (self.nonfinite.end, self.speed.stop)

    def flush(self) -> None:
        """Rules are about to be asked: write down what was gathered."""
        self.loading.workers.flush()
        self.sampling.flush()
        self.speed.flush()

    def close(self) -> None:
        """The run is over: write down the rest."""
        self.knobs.settle()
        self.optimizers.close()
        self.loop.close()
        self.lens.collected()
        self.losses.flush()
        self.nonfinite.flush()
        self.loading.flush()
        self.flush()
        self.sightings.close()

    def totals(self) -> dict[str, Any]:
        """The counts so far."""
        return {
            "spent_s": round(self._guard.spent_s, 4),
            "steps": self.recorder.steps,
            "backwards": self.loop.backwards,
            "shapes": dict(self.loop.shape_counts),
            "graphs": dict(self.sightings.counts),
            "optimizers": dict(self.loop.optimizer_steps),
            "schedulers": {k: list(v) for k, v in self.optimizers.calls.items()},
        }

    # -- what one tells another --------------------------------------------------------------

    def _model_called(self) -> None:
        """The program calls a model; told only while the lens is armed."""
        self.metrics.end()
        self.deep.forward()
        self.speed.timing.called()

    def _new_structure(self) -> None:
        """A loss of a new structure has turned up late: its lines and rows are not known."""
        self.deep.again()
        self.sampling.look_again()

    def _cut(self, tensor: torch.Tensor, operation: str, line: int | None) -> None:
        """A tensor leaves the graph."""
        if operation == "data":
            self.edits.exposed(tensor, line)
        if (operation, line) in self._cuts_seen:
            return
        leaves = [tensor] if tensor.grad_fn is None else capture.walk(tensor.grad_fn).leaves
        upstream = [name for name in map(self.names.of, leaves) if name]
        if upstream:
            self._cuts_seen.add((operation, line))
            self.by_hand.behind(leaves)
            facts = {"op": operation, "line": line, "scalar": tensor.numel() == 1}
            self.recorder.emit({"e": "cut", **facts, "upstream": upstream[:2000]})
