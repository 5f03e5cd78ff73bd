"""Batches that are yielded in a training pass and not learnt from: whether they hold NaN.

A program that skips a batch whose loss is not finite never calls backward on it, and nothing else
shows what was wrong with it.
"""

from typing import Any

from torchdx.events.lens import tensors_in
from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.first_bad import not_finite
from torchdx.instruments.finiteness import extent_of
from torchdx.instruments.tensors import unseen

LOOKED_AT = 100  # skipped batches looked at one by one; then ever rarer


class Skips:
    """Looks at a batch when the next is asked for and no backward pass came between."""

    def __init__(self, recorder: Recorder, loop: Loop) -> None:
        self._recorder, self._loop = recorder, loop
        self._backwards = -1
        self._sparse = Sparse(LOOKED_AT)
        self._batches = self._skipped = self._looked = self._bad = self._told = 0
        self._first: tuple[int | None, dict[str, Any]] | None = None

    def batch_over(self) -> None:
        """The batch at hand is over: another follows, or the loader has come to its end."""
        loop = self._loop
        if loop.at_hand is None or not loop.learning:
            self._backwards = loop.backwards
            return
        self._batches += 1
        if loop.backwards == self._backwards:
            self._skipped += 1
            if self._sparse.due(self._skipped):
                self._look()
        self._backwards = loop.backwards

    def _look(self) -> None:
        self._looked += 1
        with unseen():
            bad = [tensor for tensor in tensors_in(self._loop.at_hand) if not_finite(tensor)]
            self._bad += bool(bad)
            if bad and self._first is None:
                self._first = self._recorder.frames.here(), extent_of(bad[0])
                self.flush()

    def flush(self) -> None:
        """Write down how many there were, where it has grown."""
        if self._first is None or self._batches == self._told:
            return
        line, data = self._first
        self._told = self._batches
        counts = {"batches": self._batches, "skipped": self._skipped}
        looks = {"looked": self._looked, "bad": self._bad}
        self._recorder.event("skipped-data", line=line or 0, **counts, **looks, data=data)
