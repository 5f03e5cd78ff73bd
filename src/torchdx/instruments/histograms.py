"""Counts what layers put out, and the gradients that come back, into bins alike for all.

`torchdx.record.histograms` says which bins, and why. A histogram is to be drawn, not judged: the
first eight fully sampled steps have one, then ever fewer, about 40 in 100,000 steps.
"""

from typing import Literal

import torch

from torchdx.events.recorder import Recorder, Sparse
from torchdx.record.histograms import BINS, EDGES, packed, shares

Signal = Literal["activation", "output_gradient"]

DENSE, RATIO = 8, 1.4  # steps that all have histograms; how far apart later ones come to lie


class Histograms:
    """Of the samples that others take; counts stay on their device until the flush."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sparse = Sparse(DENSE, RATIO)
        self._step, self._due = 0, False
        self._taken = set[tuple[Signal, str]]()
        self._kept: dict[tuple[int, Signal], dict[str, torch.Tensor]] = {}
        self._edges: dict[torch.device, torch.Tensor] = {}

    def sampled(self, signal: Signal, place: str, values: torch.Tensor) -> None:
        """An even sample of float32 values, shape (n,); a place's first of a step is counted."""
        step = self._recorder.steps + 1
        if step != self._step:
            self._step, self._due = step, self._sparse.due(step)
            self._taken.clear()
        if self._due and (signal, place) not in self._taken:
            self._taken.add((signal, place))
            self._kept.setdefault((step, signal), {})[place] = self._counted(values)

    def flush(self) -> None:
        """Read what is kept, and write it down."""
        kept, self._kept = self._kept, {}
        for (step, signal), by_place in kept.items():
            device = next(iter(by_place.values())).device
            counts = torch.stack([row.to(device) for row in by_place.values()]).tolist()
            rows = [packed(shares(row)) for row in counts]
            self._recorder.histograms(step, signal, dict(zip(by_place, rows, strict=True)))

    def _counted(self, values: torch.Tensor) -> torch.Tensor:
        """How many lie in each bin; without a wait for the device, and the same every time."""
        edges = self._edges.get(values.device)
        if edges is None:
            edges = torch.tensor(EDGES, dtype=torch.float32, device=values.device)
            self._edges[values.device] = edges
        bins = torch.bucketize(values.contiguous(), edges)  # else torch warns
        counts = torch.zeros(BINS, dtype=torch.int32, device=values.device)
        return counts.scatter_add_(0, bins, torch.ones_like(bins, dtype=torch.int32))
