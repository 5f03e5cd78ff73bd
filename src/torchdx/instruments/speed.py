"""Ties the instruments of time and noise together: when each looks, and when it writes."""

from collections.abc import Callable
from typing import Any

from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.names import Names
from torchdx.instruments.noise_scale import NoiseScale
from torchdx.instruments.reads import Reads
from torchdx.instruments.timing import Clock, Timing
from torchdx.instruments.waits import Waits
from torchdx.instruments.whereabouts import Whereabouts

WARM = 5  # cycles before reads are counted and lines looked for: the first are dearer than others


class Speed:
    """Times every cycle, and looks closely at ever rarer ones; measures the gradients' noise.

    Args:
        recorder: where what is seen goes.
        names: gives layers their places.
        clock: seconds, less what torchdx has used.
        shielded: makes a function safe to call from the program.
        busy: whether torchdx is at work in the training thread just now.
    """

    def __init__(
        self,
        recorder: Recorder,
        names: Names,
        clock: Clock,
        shielded: Callable[[Callable[..., None]], Any],
        busy: Callable[[], bool],
    ) -> None:
        self.timing = Timing(recorder, clock)
        self._waits = Waits(recorder)
        self._reads = Reads(recorder, clock, shielded, lambda: self.timing.phase)
        self._whereabouts = Whereabouts(recorder, lambda: "" if busy() else self.timing.phase)
        self._told = Sparse(1, ratio=2.0)
        self._cycles = 0
        self._compiled = False
        self._noise = NoiseScale(recorder, names, shielded)

    def start(self) -> None:
        """Begin."""
        self._noise.start()

    def compiling(self) -> None:
        """The program compiles something: methods that come and go would recompile it."""
        self._compiled = True
        self._noise.compiling()

    def loader_starting(self) -> None:
        """A data loader is about to be iterated; its workers shall fork where no thread runs."""
        self._whereabouts.end()
        self.timing.starting()

    def loader_started(self, number: int, loader: Any) -> None:
        """It is iterated."""
        self.timing.started(workers=getattr(loader, "num_workers", 0) > 0)
        self._waits.loader_started(number, loader)

    def waiting(self, iterator: Any) -> None:
        """A batch is asked for, in a cycle that is looked at closely."""
        self._waits.begin(iterator)

    def yielded(self, loader: int) -> None:
        """A batch has come."""
        self._waits.end(self.timing.yielded(loader))

    def missed(self) -> None:
        """None came: the loader is at its end, or has failed."""
        self._waits.end(0.0)
        self.timing.exhausted()

    def backward_ended(self) -> None:
        """A backward pass has ended."""
        self.timing.backward_ended()
        self._noise.backward_ended()

    def cycle_ended(self, step: int, *, patched: bool) -> None:
        """An optimizer step that counts has ended; `patched`: others replace methods just now."""
        timing = self.timing
        timing.cycle_ended()
        self._cycles += 1
        self._noise.stepped(step)
        self._reads.end(timing.lasted if timing.plain else None)
        self._whereabouts.cycle_ended()
        if timing.sampled:
            self._waits.flush()
            if self._cycles > WARM and not patched and not self._compiled:
                self._reads.begin()
            if self._cycles > WARM:
                self._whereabouts.begin()

    def flush(self) -> None:
        """Rules are about to be asked: write down what was gathered."""
        self._whereabouts.end()
        self._waits.flush()
        self._reads.flush()
        self._whereabouts.flush()
        self._noise.flush()
        self.timing.flush()

    def stop(self) -> None:
        """Take everything away; harmless when there is nothing."""
        self._waits.end(0.0)
        self._reads.end()
        self._whereabouts.end()
        self._noise.stop()
