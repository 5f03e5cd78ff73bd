"""Whether graphs grow from step to step, and whether it is because each holds those before it.

Nodes of a graph are marked in the dict that autograd keeps for each (`metadata`). A graph that ends
with its step takes its marks with it; a node that is met with the mark of an earlier step was
carried over.
"""

from itertools import pairwise
from typing import Any

from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder
from torchdx.graph.model import LEAF

WINDOW = 8  # backward passes in a row, each with more nodes than the one before
_FIRST = 4  # backward passes that are marked in any case
_RISES = 2  # so many rises in a row have graphs marked later on
_MARK = "torchdx step"


class Growth:
    """Follows the sizes of graphs, and marks them in the first steps and while they rise."""

    def __init__(self, recorder: Recorder, loop: Loop) -> None:
        self._recorder, self._loop = recorder, loop
        self._sizes: list[int] = []
        self._carried: list[int] = []
        self._passes = self._rises = self._last = 0
        self._told: set[int | None] = set()

    def seen(self, nodes: list[Any], line: int | None) -> None:
        """A backward pass is about to go through these nodes."""
        size, before = len(nodes), self._last
        self._passes += 1
        self._rises = self._rises + 1 if size > before else 0
        self._last = size
        carried = 0
        if self._passes <= _FIRST or self._rises >= _RISES:
            carried = _mark(nodes, self._clock())
        if carried and size > before and line not in self._told:
            self._told.add(line)
            self._recorder.event("carried-graph", line=line, sizes=[before, size], carried=carried)
        self._sizes.append(size)
        self._carried.append(carried)
        if len(self._sizes) == WINDOW:
            self._window(line)

    def _clock(self) -> int:
        """Optimizer steps; backward passes where none comes: the program steps by itself."""
        steps = sum(self._loop.optimizer_steps.values())
        return steps if steps or self._passes <= WINDOW else self._passes

    def _window(self, line: int | None) -> None:
        sizes, self._sizes = self._sizes, []
        carried, self._carried = self._carried, []
        if all(a < b for a, b in pairwise(sizes)):
            self._recorder.event("growing-graph", line=line, sizes=sizes, carried=carried)


def _mark(nodes: list[Any], step: int) -> int:
    """Mark nodes with a step; returns how many bear the mark of another."""
    carried = 0
    for node in nodes:
        if type(node).__name__ != LEAF:
            carried += node.metadata.setdefault(_MARK, step) != step
    return carried
