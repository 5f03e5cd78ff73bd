"""Sees the random state being set again, and whether anything had been drawn in between."""

import zlib
from typing import NamedTuple

import torch

from torchdx.events.recorder import Recorder, Sparse


class Randomness:
    """Compares torch's CPU random state at each seeding with what the seeding before left."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._left: dict[tuple[int | None, int], _Seeding] = {}
        self._restored = False
        self._sparse = Sparse(20)
        self._seeds = 0

    def restored(self) -> None:
        """A random state was put back as a whole: draws since the last seeding are undone."""
        self._restored = True

    def state(self) -> int:
        """The random state as a number."""
        return zlib.crc32(torch.get_rng_state().numpy().tobytes())

    def seeded(self, before: int, seed: int, line: int | None, backwards: int) -> None:
        """`torch.manual_seed(seed)` was called and has taken effect.

        Told of it: `again` in training with the same number from the same line, `drawn` from in
        between, and whether it is a `fresh` start: an optimizer was made since.
        """
        self._seeds += 1
        optimizers = len(self._recorder.record.optimizers)
        last = self._left.get((line, seed), _Seeding(0, 0, 0, optimizers))
        again = last.times > 0 and backwards > last.backwards
        this = _Seeding(last.times + 1, self.state(), backwards, optimizers)
        self._left[line, seed] = this
        restored, self._restored = self._restored, False
        if self._sparse.due(self._seeds):
            self._recorder.event(
                "seed",
                line=line,
                seed=seed,
                times=this.times,
                again=again,
                drawn=again and before != last.left and not restored,
                fresh=optimizers > last.optimizers,
                backwards=backwards - last.backwards if again else 0,
            )


class _Seeding(NamedTuple):
    """How often, the state that it left, and what had been done and made by then."""

    times: int
    left: int
    backwards: int
    optimizers: int
