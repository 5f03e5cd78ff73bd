"""Stretches without gradients: each may be a validation, and its forwards are then watched."""

from torchdx.events.lens import Lens
from torchdx.events.recorder import Recorder, Sparse

DENSE = 50  # stretches from one line that are watched one by one; then ever rarer


class Stretches:
    """Follows how deeply the program has switched gradients off."""

    def __init__(self, recorder: Recorder, lens: Lens) -> None:
        self._recorder, self._lens = recorder, lens
        self._depth = 0
        self._counts: dict[int | None, tuple[Sparse, int]] = {}

    def enter(self) -> bool:
        """Gradients are switched off; returns whether they were on."""
        self._depth += 1
        return self._depth == 1

    def leave(self) -> bool:
        """They are as before; returns whether they are on again."""
        self._depth = max(0, self._depth - 1)
        return self._depth == 0

    def begin(self) -> None:
        """A stretch has begun."""
        if self._recorder.frames.inside_forward():
            return
        line = self._recorder.frames.here()
        sparse, count = self._counts.get(line, (Sparse(DENSE), 0))
        self._counts[line] = (sparse, count + 1)
        if sparse.due(count + 1):
            self._lens.arm("quiet")

    def end(self) -> None:
        """It has ended."""
        self._lens.disarm("quiet")
