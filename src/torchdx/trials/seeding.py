"""Seeds of a trial: every arm of one seed draws the same random numbers.

A program that seeds itself is left to do so, with the trial's seed added to its own: seed 0 is the
program as it is written. One that does not is seeded before it begins.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from torchdx.treatments.site import Site

UNSEEDED = 20_261_121  # what a program that never seeds itself begins with
STRIDE = 1_000_003  # between the streams of two steps; a prime
MOST = 2**32  # numpy's seeds lie below


class Seeding:
    """Adds the trial's seed to each of the program's own, and seeds steps anew where asked to."""

    def __init__(self, site: Site, seed: int, *, reseed: bool) -> None:
        self._seed = seed
        self._torch: Callable[[int], Any] = torch.random.manual_seed  # that of a GPU, too
        self._python, self._numpy = random.seed, np.random.seed
        self.all(UNSEEDED + seed)
        site.replace(torch, "manual_seed", self._shifted)
        site.replace(torch.random, "manual_seed", self._shifted)
        site.replace(random, "seed", self._shifted)
        site.replace(np.random, "seed", self._shifted)
        if reseed:
            self._steps = 0
            site.after_step(lambda _: self._stepped())

    def all(self, seed: int) -> None:
        """Seed Python's, numpy's and torch's generators."""
        self._python(seed)
        self._numpy(seed % MOST)
        self._torch(seed)

    def _shifted(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        """The seed, of whatever name, stands first; numbers are moved, texts and lists left."""
        given = [*args, *kwargs.values()]
        seed = given[0] if given else None
        if seed is None:
            return original(UNSEEDED + self._seed)
        if self._seed and isinstance(seed, int | np.integer):
            moved = (int(seed) + self._seed) % MOST
            return original(moved, *given[1:])
        return original(*args, **kwargs)

    def _stepped(self) -> None:
        self._steps += 1
        self.all((UNSEEDED + self._seed + STRIDE * self._steps) % MOST)
