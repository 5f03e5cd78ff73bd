"""Loss per optimizer step: values stay on their device and are read some at a time."""

import time
from typing import Any

import torch

from torchdx.events.recorder import Recorder, Sparse
from torchdx.record.writer import PENDING_S

BATCH = 50  # values read at once
DENSE = 1_000  # steps recorded one by one; later ones ever rarer


class Losses:
    """The value of the last scalar on which backward was called before each step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sparse = Sparse(DENSE, ratio=1.01)
        self._kept: list[tuple[int, torch.Tensor]] = []
        self._last: torch.Tensor | None = None
        self._flushed_at = time.monotonic()

    def backward(self, root: Any) -> None:
        """Keep a scalar's value."""
        self._last = None
        if isinstance(root, torch.Tensor) and root.numel() == 1 and root.is_floating_point():
            self._last = root.detach().clone()

    def step(self) -> None:
        """An optimizer has stepped with it."""
        if self._last is None:
            return
        step = self._recorder.steps
        if self._sparse.due(step):
            self._kept.append((step, self._last))
        if len(self._kept) >= BATCH or time.monotonic() - self._flushed_at > PENDING_S:
            self.flush()

    def last(self) -> float | None:
        """The newest value; waits for the device."""
        return None if self._last is None else float(self._last)

    def flush(self) -> None:
        """Read and record what is kept."""
        if not self._kept:
            return
        kept, self._kept = self._kept, []
        self._flushed_at = time.monotonic()
        device = kept[0][1].device
        values = torch.stack([v.to(device, torch.float64).reshape(()) for _, v in kept]).tolist()
        steps = [step for step, _ in kept]
        self._recorder.emit({"e": "steps", "step": steps, "loss": values}, now=True)
