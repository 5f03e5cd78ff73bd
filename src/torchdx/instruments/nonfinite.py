"""The first loss, gradient or weight that is not a number: which operation made it, from what.

Nothing is run again. Where the loss is bad, its graph is read before backward lets go of it. Where
only the gradient is, the operations with singular points show it: what autograd kept for them is
held by reference until the next backward pass. On the CPU a step costs microseconds: the loss is
read, and the gradients are summed as often as `SHARE` of the time allows. Of another device the
values are read together, some steps late, so that nothing waits for it; what was held is kept so
long.
"""

import math
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from torchdx.events.lens import tensors_in
from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder
from torchdx.graph.capture import Walk, walk
from torchdx.graph.first_bad import (
    Found,
    Suspect,
    among,
    hold,
    in_backward,
    in_forward,
    not_finite,
    suspects,
)
from torchdx.graph.model import LossGraph
from torchdx.instruments.finiteness import (
    finite_gradients,
    is_bad,
    largest_of,
    read_together,
    value_of,
)
from torchdx.instruments.late_line import LateLine
from torchdx.instruments.stray_data import source_of
from torchdx.instruments.tensors import unseen

SHARE = 0.005  # of this thread's time since the first backward pass, for looking at gradients
FIRST = 20  # backward passes whose gradients are looked at in any case
HELD = 1 << 20  # elements kept by autograd that are held for one backward pass
LATE, LATE_S = 32, 2.0  # values of another device that are read together, or after so many seconds
BACK = 8  # backward passes whose singular points are held, on the CPU
MAX_STRUCTURES = 500  # graphs of further structures are told by their loss alone
_TREND = 8  # finite losses before the first bad one that are told
_NAMED = 20  # parameters that are named
# Behind these a value may be hidden from the loss, but never its derivative.
_HIDING = frozenset("Where MaskedFill NanToNum Clamp ClampMin ClampMax Minimum Maximum".split())


@dataclass
class _Pass:
    """One backward pass: what may be asked of it later.

    loss        its value; a tensor where it lies on another device; None: not a single number
    gradient    whether the gradients behind it were finite; None: not looked at
    leaves      the tensors that it reaches; let go of when it has ended
    """

    step: int
    graph: int
    loss: float | torch.Tensor | None
    held: list[Suspect]
    leaves: list[Any] = field(default_factory=list)
    gradient: bool | torch.Tensor | None = None


class NonFinite:
    """Watches for the first value that is not finite.

    Args:
        label: names a parameter.
        scaled: whether the loss at hand was multiplied by a gradient scaler, which skips steps
            whose gradients overflow: that is as it should be.
    """

    def __init__(
        self,
        recorder: Recorder,
        loop: Loop,
        label: Callable[[Any], str],
        scaled: Callable[[], bool],
    ) -> None:
        self._recorder, self._loop, self._label, self._scaled = recorder, loop, label, scaled
        self._suspects: dict[tuple[int, bool], list[int]] = {}
        self._known: dict[int, list[weakref.ref[Any]]] = {}
        self._passes: deque[_Pass] = deque(maxlen=BACK)
        self._late: list[_Pass] = []
        self._now: _Pass | None = None
        self._losses: deque[tuple[int, float]] = deque(maxlen=_TREND)
        self._first_loss: float | None = None
        self._first_weight = 0.0
        self._began: float | None = None
        self._read_at = time.monotonic()
        self._count, self._spent = 0, 0.0
        self._over = self._usual = False
        self._line = LateLine(recorder, "nonfinite")

    # -- what the observer tells -------------------------------------------------------------

    def before_backward(self, root: Any, graph: int, seen: Walk | None) -> None:
        """Backward begins from `root`; `seen` is its graph."""
        self._now = None
        self._line.answer(root, graph, seen)
        function = getattr(root, "grad_fn", None)
        if self._over or function is None:
            return
        loss = value_of(root)
        bad = isinstance(loss, float) and not math.isfinite(loss)
        if self._began is None:
            self._began = time.thread_time()
            with unseen():
                batch = tensors_in(self._loop.at_hand)
                self._usual = not bad and any(map(not_finite, batch))
                self._first_weight = largest_of(seen.leaves if seen is not None else ())
        forward = isinstance(loss, torch.Tensor)
        if seen is None and (bad or self._suspects.get((graph, forward))):
            seen = walk(function)
        leaves = self._leaves_of(graph, seen)
        held = [] if seen is None else hold(seen.nodes, self._singular(graph, seen, forward), HELD)
        current = _Pass(self._recorder.steps, graph, loss, held, leaves)
        if bad:
            with unseen():
                self._bad_loss(current, seen)
            return
        if isinstance(loss, float):
            self._good_loss(current.step, loss)
        self._now = current

    def after_backward(self, *, failed: bool) -> None:
        """It has ended."""
        current, self._now = self._now, None
        if current is None or self._over or failed:
            return
        if self._due():
            began = time.thread_time()
            current.gradient = finite_gradients(current.leaves)
            self._spent += time.thread_time() - began
        if current.gradient is False:
            with unseen():
                self._bad_gradient(current)
        current.leaves = []
        if isinstance(current.loss, torch.Tensor) or isinstance(current.gradient, torch.Tensor):
            self._late.append(current)
            if len(self._late) >= LATE or time.monotonic() - self._read_at > LATE_S:
                self.read()
        else:
            self._passes.append(current)

    def read(self) -> None:
        """Read what waits on another device."""
        waiting, self._late = self._late, []
        self._read_at = time.monotonic()
        if self._over or not waiting:
            return
        losses = read_together([w.loss for w in waiting])
        gradients = read_together([w.gradient for w in waiting])
        for current, loss, gradient in zip(waiting, losses, gradients, strict=True):
            current.loss = loss
            current.gradient = None if gradient is None else bool(math.isfinite(gradient))
            if loss is not None and not math.isfinite(loss):
                self._bad_loss(current, None)
            elif current.gradient is False:
                self._bad_gradient(current, late=True)
            elif loss is not None:
                self._good_loss(current.step, loss)
            if self._over:
                return
            self._passes.append(current)

    def flush(self) -> None:
        """The run ends: tell what waits, for its line or on another device."""
        self.read()
        self._look_at_last()
        self._line.close()

    def _look_at_last(self) -> None:
        """The gradients of the last passes may not have been looked at."""
        last = self._passes[-1] if self._passes and not self._over else None
        if last is None or last.gradient is not None:
            return
        last.leaves = [x for x in self._leaves_of(last.graph, None) if x.device.type == "cpu"]
        with unseen():
            if any(is_bad(leaf) or is_bad(leaf.grad) for leaf in last.leaves):
                last.gradient = False
                self._bad_gradient(last)
        last.leaves = []

    def end(self) -> None:
        """Let go of everything."""
        self._line.end()
        self._passes.clear()

    # -- how it is noticed -------------------------------------------------------------------

    def _leaves_of(self, graph: int, seen: Walk | None) -> list[Any]:
        """The tensors that backward reaches; where its graph was not walked, those of the last."""
        if seen is None:
            return [leaf for known in self._known.get(graph, ()) if (leaf := known()) is not None]
        known = self._known.get(graph)
        if known is None and len(self._known) >= MAX_STRUCTURES:
            return seen.leaves
        same = known and len(known) == len(seen.leaves) and known[0]() is seen.leaves[0]
        if not same:
            self._known[graph] = [weakref.ref(leaf) for leaf in seen.leaves]
        return seen.leaves

    def _singular(self, graph: int, seen: Walk, forward: bool) -> list[int]:  # noqa: FBT001
        key = graph, forward
        if key not in self._suspects:
            if len(self._suspects) >= MAX_STRUCTURES:
                return []
            self._suspects[key] = suspects(seen.nodes, forward=forward)
        return self._suspects[key]

    def _due(self) -> bool:
        self._count += 1
        if self._count <= FIRST:
            return True
        return self._spent <= SHARE * (time.thread_time() - (self._began or 0.0))

    def _good_loss(self, step: int, loss: float) -> None:
        if self._first_loss is None:
            self._first_loss = loss
        self._losses.append((step, loss))

    # -- what is told ------------------------------------------------------------------------

    def _bad_loss(self, current: _Pass, seen: Walk | None) -> None:
        leaves = [] if seen is None else seen.leaves
        weights = [leaf for leaf in leaves if is_bad(leaf)]
        if weights:
            self._bad_weights(current, weights, len(leaves))
            return
        found = among(current.held) if seen is None else in_forward(seen.nodes)
        scaled = self._scaled() and (found is None or found.reason is None or found.reason.overflow)
        if scaled:  # the scaler will skip the step and lower its scale
            return
        facts: dict[str, Any] = {"weights": None}
        if seen is not None:
            facts = {"weights": "finite", "largest_weight": largest_of(seen.leaves)}
        if found is None:
            found = Found(0, "")
        self._tell("forward", current, found, late=seen is None, **facts)

    def _bad_weights(self, current: _Pass, weights: list[Any], of: int) -> None:
        """The loss is bad because weights are: what made them so is in the pass before."""
        facts = self._affected(weights, of) | {"weights": "non-finite"}
        for earlier in reversed(self._passes):
            found = in_backward(earlier.held)
            if found is not None:
                self._tell("backward", earlier, found, late=True, **facts)
                return
        before = self._passes[-1] if self._passes else None
        where = "weights" if before is None else "update" if before.gradient else "gradient"
        self._tell(where, before or current, None, late=True, **facts)

    def _bad_gradient(self, current: _Pass, *, late: bool = False) -> None:
        weights = [leaf for leaf in current.leaves if is_bad(leaf)]
        if weights:
            self._bad_weights(current, weights, len(current.leaves))
            return
        found = in_backward(current.held)
        if found is None and self._scaled():
            return
        bad = [leaf for leaf in current.leaves if is_bad(leaf.grad)]
        facts = self._affected(bad, len(current.leaves))
        facts |= {"nan": any(bool(torch.isnan(leaf.grad).any()) for leaf in bad)}
        facts["weights"] = None if late else "finite"
        facts["largest_weight"] = None if late else largest_of(current.leaves)
        where = "gradient" if found is None else "backward"
        self._tell(where, current, found, late=late, **facts)

    def _affected(self, leaves: list[Any], of: int) -> dict[str, Any]:
        names = [self._label(leaf) for leaf in leaves[:_NAMED]]
        return {"params": names, "affected": len(leaves), "reached": of}

    def _tell(
        self, where: str, current: _Pass, found: Found | None, *, late: bool, **facts: Any
    ) -> None:
        self._over = True
        batch, frames = self._loop.at_hand, self._recorder.frames
        data = {} if late else source_of(found, frames, batch, usual=self._usual)
        if data and where in {"forward", "backward", "gradient"}:
            facts["hidden"] = where != "forward"
            where = "data"
        loss = current.loss
        facts |= {
            "where": where,
            "at": current.step,
            "graph": current.graph,
            "loss": loss if isinstance(loss, float) else None,
            "losses": [list(pair) for pair in self._losses],
            "first_loss": self._first_loss,
            "first_weight": self._first_weight,
            "scaled": self._scaled(),
            "late": late,
            "half": self._half(current.graph),
            "data": data,
            **self._about(found, current.graph),
        }
        index = None if found is None or not found.op else found.index
        line = self._line.known(current.graph, index, "" if found is None else found.op)
        if line is None and index is not None:
            self._line.ask(current.graph, index, facts)
        else:
            self._recorder.event("nonfinite", line=line or 0, **facts)
        self._passes.clear()

    def _about(self, found: Found | None, key: int) -> dict[str, Any]:
        """What is known of the operation, and of where it stands in the graph."""
        graph = self._recorder.record.graphs.get(key)
        facts: dict[str, Any] = {"opaque": "" if graph is None else graph.opaque}
        if found is None:
            return facts
        why = found.reason
        facts |= {"op": found.op, "inputs": found.inputs, "low": found.low, "high": found.high}
        if why is not None:
            facts |= {"words": why.words, "count": why.count, "of": why.of}
            facts |= {"overflow": why.overflow}
        if graph is not None and found.op and _stands(graph, found):
            facts |= _place(graph, found.index)
        return facts

    def _half(self, key: int) -> bool:
        graph = self._recorder.record.graphs.get(key)
        return graph is not None and any(node.dtype == "float16" for node in graph.nodes)


def _stands(graph: LossGraph, found: Found) -> bool:
    """Whether the graph as it was read is the one in which an operation was found."""
    return found.index < len(graph.nodes) and graph.nodes[found.index].op == found.op


def _place(graph: LossGraph, index: int) -> dict[str, Any]:
    node = graph.nodes[index]
    near = next((below.leaf for below in graph.below(node) if below.leaf is not None), None)
    behind = {user.op for user in graph.consumers(node)}
    return {"place": near or "", "masked": not behind.isdisjoint(_HIDING)}
