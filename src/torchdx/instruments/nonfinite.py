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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from torchdx.events.frames import variables_of
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
from torchdx.graph.values import op_of
from torchdx.instruments.tensors import unseen

SHARE = 0.005  # of this thread's time since the first backward pass, for looking at gradients
FIRST = 20  # backward passes whose gradients are looked at in any case
HELD = 1 << 20  # elements kept by autograd that are held for one backward pass
LATE, LATE_S = 32, 2.0  # values of another device that are read together, or after so many seconds
BACK = 8  # backward passes whose singular points are held, on the CPU
MAX_STRUCTURES = 500  # graphs of further structures are told by their loss alone
_TREND = 8  # finite losses before the first bad one that are told
_NAMED = 20  # parameters that are named
_FRAMES = 2  # frames of the user's program whose variables are looked at
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
        self._lowest = math.inf
        self._began: float | None = None
        self._read_at = time.monotonic()
        self._count, self._spent = 0, 0.0
        self._over = self._usual = False
        self._asked: tuple[int, int, dict[str, Any]] | None = None
        self._stacks = False

    # -- what the observer tells -------------------------------------------------------------

    def before_backward(self, root: Any, graph: int, seen: Walk | None) -> None:
        """Backward begins from `root`; `seen` is its graph."""
        self._now = None
        if self._asked is not None:
            self._answer(root, graph, seen)
        function = getattr(root, "grad_fn", None)
        if self._over or function is None:
            return
        loss = _value(root)
        bad = isinstance(loss, float) and not math.isfinite(loss)
        if self._began is None:
            self._began = time.thread_time()
            with unseen():
                batch = tensors_in(self._loop.at_hand)
                self._usual = not bad and any(map(not_finite, batch))
                self._first_weight = _largest(seen.leaves if seen is not None else ())
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
            current.gradient = _finite_gradients(current.leaves)
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
        losses = _read([w.loss for w in waiting])
        gradients = _read([w.gradient for w in waiting])
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
        if self._asked is not None:
            (_, _, facts), self._asked = self._asked, None
            self._recorder.event("nonfinite", line=0, **facts)

    def _look_at_last(self) -> None:
        """The gradients of the last passes may not have been looked at."""
        last = self._passes[-1] if self._passes and not self._over else None
        if last is None or last.gradient is not None:
            return
        last.leaves = [x for x in self._leaves_of(last.graph, None) if x.device.type == "cpu"]
        with unseen():
            if any(_bad(leaf) or _bad(leaf.grad) for leaf in last.leaves):
                last.gradient = False
                self._bad_gradient(last)
        last.leaves = []

    def end(self) -> None:
        """Let go of everything."""
        self._keep_stacks(on=False)
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
        self._lowest = min(self._lowest, loss)
        self._losses.append((step, loss))

    # -- what is told ------------------------------------------------------------------------

    def _bad_loss(self, current: _Pass, seen: Walk | None) -> None:
        leaves = [] if seen is None else seen.leaves
        weights = [leaf for leaf in leaves if _bad(leaf)]
        if weights:
            self._bad_weights(current, weights, len(leaves))
            return
        found = among(current.held) if seen is None else in_forward(seen.nodes)
        scaled = self._scaled() and (found is None or found.reason is None or found.reason.overflow)
        if scaled:  # the scaler will skip the step and lower its scale
            return
        facts: dict[str, Any] = {"weights": None}
        if seen is not None:
            facts = {"weights": "finite", "largest_weight": _largest(seen.leaves)}
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
        weights = [leaf for leaf in current.leaves if _bad(leaf)]
        if weights:
            self._bad_weights(current, weights, len(current.leaves))
            return
        found = in_backward(current.held)
        if found is None and self._scaled():
            return
        bad = [leaf for leaf in current.leaves if _bad(leaf.grad)]
        facts = self._affected(bad, len(current.leaves))
        facts |= {"nan": any(bool(torch.isnan(leaf.grad).any()) for leaf in bad)}
        facts["weights"] = None if late else "finite"
        facts["largest_weight"] = None if late else _largest(current.leaves)
        where = "gradient" if found is None else "backward"
        self._tell(where, current, found, late=late, **facts)

    def _affected(self, leaves: list[Any], of: int) -> dict[str, Any]:
        names = [self._label(leaf) for leaf in leaves[:_NAMED]]
        return {"params": names, "affected": len(leaves), "reached": of}

    def _tell(
        self, where: str, current: _Pass, found: Found | None, *, late: bool, **facts: Any
    ) -> None:
        self._over = True
        data = {} if late else self._data(found)
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
            "lowest_loss": None if math.isinf(self._lowest) else self._lowest,
            "scaled": self._scaled(),
            "late": late,
            "half": self._half(current.graph),
            "data": data,
            **self._about(found, current.graph),
        }
        index = None if found is None or not found.op else found.index
        line = self._line(current.graph, index, "" if found is None else found.op)
        if line is None and index is not None:
            self._asked = current.graph, index, facts
            self._keep_stacks(on=True)
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

    def _data(self, found: Found | None) -> dict[str, Any]:
        """The data that is not finite: of the batch, of an operation, of a variable."""
        if found is not None and found.reason is not None and found.inputs:
            return {}  # what went into the operation was finite
        given = None if found is None else found.data
        if not self._usual or given is not None:
            for number, tensor in enumerate(tensors_in(self._loop.at_hand)):
                if not_finite(tensor):
                    return {"source": "batch", "name": str(number), **extent_of(tensor)}
        if given is not None:
            name = next((n for n, value in self._variables() if _same(value, given)), "")
            return {"source": "operand", "name": name, **extent_of(given)}
        if found is not None and found.constant:
            for name, value in self._variables():
                if value.dim() and not value.requires_grad and not_finite(value):
                    return {"source": "variable", "name": name, **extent_of(value)}
        return {}

    def _variables(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The tensors among the variables of the running functions."""
        for frame in self._recorder.frames.user_frames(_FRAMES):
            for name, value in variables_of(frame).items():
                if isinstance(value, torch.Tensor) and value.layout is torch.strided:
                    yield name, value

    # -- the line ----------------------------------------------------------------------------

    def _line(self, key: int, index: int | None, op: str) -> int | None:
        """The number of the line that ran an operation, from the graph as it was read."""
        graph = self._recorder.record.graphs.get(key)
        if graph is None or index is None or index >= len(graph.nodes):
            return None
        line = graph.nodes[index].line if graph.nodes[index].op == op else None
        if line is None:
            return None
        return self._recorder.frames.number(line.file, line.number, line.function)

    def _answer(self, root: Any, graph: int, seen: Walk | None) -> None:
        """The graph that was asked for its lines is there again; or another is."""
        self._keep_stacks(on=False)
        asked, self._asked = self._asked, None
        if asked is None:
            return
        key, index, facts = asked
        function = getattr(root, "grad_fn", None)
        if seen is None and function is not None:
            seen = walk(function)
        line: int | None = 0
        if key == graph and seen is not None and index < len(seen.nodes):
            stack = seen.nodes[index].metadata.get("traceback_")
            line, _ = self._recorder.frames.of_stack(stack or ())
            line = line if op_of(seen.nodes[index]) == facts["op"] else 0
        self._recorder.event("nonfinite", line=line or 0, **facts)

    def _keep_stacks(self, *, on: bool) -> None:
        """Have autograd note the lines of the operations to come."""
        if on and not torch.is_anomaly_enabled():
            self._stacks = True
            torch.set_anomaly_enabled(True, False)  # noqa: FBT003  # torch's own
        elif not on and self._stacks:
            self._stacks = False
            if torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled():
                torch.set_anomaly_enabled(False, True)  # noqa: FBT003


def _stands(graph: LossGraph, found: Found) -> bool:
    """Whether the graph as it was read is the one in which an operation was found."""
    return found.index < len(graph.nodes) and graph.nodes[found.index].op == found.op


def _place(graph: LossGraph, index: int) -> dict[str, Any]:
    node = graph.nodes[index]
    near = next((below.leaf for below in graph.below(node) if below.leaf is not None), None)
    behind = {user.op for user in graph.consumers(node)}
    hidden = not behind.isdisjoint(_HIDING)
    return {"dtype": node.dtype, "place": near or "", "behind": sorted(behind), "masked": hidden}


def _value(root: Any) -> float | torch.Tensor | None:
    """A loss's value: read where that waits for nothing, else still on its device."""
    if not isinstance(root, torch.Tensor) or root.numel() != 1 or not root.is_floating_point():
        return None
    return float(root.item()) if _here(root) else root.detach()


def _here(tensor: torch.Tensor) -> bool:
    """Whether reading a value waits for nothing."""
    return tensor.device.type == "cpu"


def _plain(gradient: Any) -> bool:
    return type(gradient) is torch.Tensor and gradient.layout is torch.strided


def _finite_gradients(leaves: Iterable[Any]) -> bool | torch.Tensor | None:
    """Whether all gradients are finite; of another device the sum that shows it."""
    given = [leaf.grad for leaf in leaves if _plain(leaf.grad)]
    if not given:
        return None
    if all(map(_here, given)):
        total = sum(gradient.sum().item() for gradient in given)
        return math.isfinite(total) or not any(map(_bad, given))
    first = given[0].device
    sums = [gradient.sum(dtype=torch.float32).to(first) for gradient in given]
    return torch.stack(sums).sum()


def _bad(tensor: Any) -> bool:
    """Whether a weight or a gradient holds NaN or infinities."""
    plain = isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided
    if not plain or not tensor.is_floating_point() or tensor.is_meta:
        return False
    return not math.isfinite(tensor.sum().item()) and not bool(torch.isfinite(tensor).all())


def _largest(leaves: Iterable[Any]) -> float:
    """The largest of all weights, without sign."""
    given = (leaf for leaf in leaves if leaf.is_floating_point() and leaf.numel())
    sizes = (leaf.abs().max().item() for leaf in given if leaf.layout is torch.strided)
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def _read(values: list[Any]) -> list[float | None]:
    """Numbers from another device, with one wait for each kind."""
    there = [v for v in values if isinstance(v, torch.Tensor)]
    if not there:
        return values
    device = there[0].device
    read = iter(torch.stack([v.to(device, torch.float64).reshape(()) for v in there]).tolist())
    return [next(read) if isinstance(v, torch.Tensor) else v for v in values]


def extent_of(tensor: torch.Tensor) -> dict[str, Any]:
    """How much of a batch is not finite: in which rows, in which columns."""
    bad = ~torch.isfinite(tensor)
    rows = bad.reshape(len(bad), -1) if bad.dim() else bad.reshape(1, 1)
    per_column = rows.sum(0)
    return {
        "nan": int(torch.isnan(tensor).sum()),
        "inf": int(torch.isinf(tensor).sum()),
        "of": tensor.numel(),
        "rows": int(rows.any(1).sum()),
        "of_rows": len(rows),
        "columns": torch.nonzero(per_column).flatten()[:10].tolist(),
        "whole_columns": torch.nonzero(per_column == len(rows)).flatten()[:10].tolist(),
        "of_columns": rows.shape[1],
    }


def _same(value: torch.Tensor, given: torch.Tensor) -> bool:
    """Whether two tensors share their values."""
    return (
        not value.is_meta
        and value.data_ptr() == given.data_ptr()
        and value.numel() == given.numel()
    )
