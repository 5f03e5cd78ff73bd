"""The line of an operation in whose graph no lines were kept: taken when the graph comes again."""

from typing import Any

from torchdx.events.recorder import Recorder
from torchdx.events.stacks import Stacks
from torchdx.graph.capture import Walk, walk
from torchdx.graph.values import op_of


class LateLine:
    """Has autograd note lines until the next backward pass, and then writes an event down.

    Args:
        recorder: where the event goes.
        kind: of the event.
    """

    def __init__(self, recorder: Recorder, kind: str) -> None:
        self._recorder, self._kind = recorder, kind
        self._asked: tuple[int, int, dict[str, Any]] | None = None
        self._stacks = Stacks()

    def known(self, key: int, index: int | None, op: str) -> int | None:
        """The number of the line that ran an operation, from the graph as it was read."""
        graph = self._recorder.record.graphs.get(key)
        if graph is None or index is None or index >= len(graph.nodes):
            return None
        line = graph.nodes[index].line if graph.nodes[index].op == op else None
        if line is None:
            return None
        return self._recorder.frames.number(line.file, line.number, line.function)

    def ask(self, key: int, index: int, facts: dict[str, Any]) -> None:
        """Write the event when the line of this operation of this graph is known."""
        self._asked = key, index, facts
        self._stacks.keep(on=True)

    def answer(self, root: Any, graph: int, seen: Walk | None) -> None:
        """A backward pass begins: the graph that was asked for is there again, or another is."""
        asked, self._asked = self._asked, None
        if asked is None:
            return
        self._stacks.keep(on=False)
        key, index, facts = asked
        function = getattr(root, "grad_fn", None)
        if seen is None and function is not None:
            seen = walk(function)
        line: int | None = 0
        if key == graph and seen is not None and index < len(seen.nodes):
            stack = seen.nodes[index].metadata.get("traceback_")
            line, _ = self._recorder.frames.of_stack(stack or ())
            line = line if op_of(seen.nodes[index]) == facts["op"] else 0
        self._recorder.event(self._kind, line=line or 0, **facts)

    def close(self) -> None:
        """The graph has not come again: write the event without a line."""
        if self._asked is not None:
            (_, _, facts), self._asked = self._asked, None
            self._recorder.event(self._kind, line=0, **facts)

    def end(self) -> None:
        """Have autograd note nothing any more."""
        self._stacks.keep(on=False)
