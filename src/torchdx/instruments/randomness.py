"""Sees the random state being set again, and whether anything had been drawn in between."""

import zlib

import torch

from torchdx.events.recorder import Recorder, Sparse


class Randomness:
    """Compares torch's CPU random state at each seeding with what the seeding before left."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._left: dict[tuple[int | None, int], tuple[int, int, int]] = {}
        self._restored = False
        self._sparse = Sparse(20)
        self._seeds = 0

    def restored(self) -> None:
        """A random state was put back as a whole: draws since the last seeding are undone."""
        self._restored = True

    def state(self) -> int:
        """The random state as a number."""
        return zlib.crc32(torch.get_rng_state().numpy())

    def seeded(self, before: int, seed: int, line: int | None, backwards: int) -> None:
        """`torch.manual_seed(seed)` was called and has taken effect."""
        self._seeds += 1
        key = (line, seed)
        times, left, at = self._left.get(key, (0, 0, 0))
        again = times > 0 and backwards > at
        self._left[key] = (times + 1, self.state(), backwards)
        if not self._sparse.due(self._seeds):
            return
        self._recorder.event(
            "seed",
            line=line,
            seed=seed,
            times=times + 1,
            again=again,
            drawn=again and before != left and not self._restored,
            backwards=backwards - at if again else 0,
        )
        self._restored = False

