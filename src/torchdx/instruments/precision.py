"""Half precision: what float16 loses of the gradients, and how a gradient scaler is used.

Gradients are looked at only where some operation of the loss graph works in float16 and no scaler
multiplied the loss. A scaler's calls are followed from one `update` to the next.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch

from torchdx.events.recorder import Recorder, Sparse
from torchdx.graph.capture import Walk
from torchdx.graph.model import LEAF, LossGraph
from torchdx.instruments.tensors import few_of, unseen

SMALLEST_NORMAL = 2.0**-14  # of float16; below it a number has fewer and fewer digits
LOOKS = 10  # backward passes looked at one by one; then ever rarer
ELEMENTS = 100_000  # of each parameter's gradient that are looked at
STUCK = 25  # steps skipped in a row: from 65,536, halved each time, a scale is below 1 after 17


class Precision:
    """Follows scalers, and measures gradients that were computed in float16 without one."""

    def __init__(self, recorder: Recorder, label: Callable[[Any], str]) -> None:
        self._recorder, self._label = recorder, label
        self._halves: dict[int, list[int]] = {}
        self._sparse, self._seen = Sparse(LOOKS), 0
        self._leaves: list[Any] = []
        self._told: set[str] = set()
        self._scaling = False  # the loss was multiplied, and backward has not run yet
        self._scaled = self._plain = 0  # backward passes since the last update
        self._unscaled: set[int] = set()
        self._stepping: weakref.ref[Any] | None = None
        self._stepped = False
        self.skipped = self._in_row = self._steps = self._updates = 0

    def under_scaler(self) -> bool:
        """Whether the loss at hand was multiplied by a scaler."""
        return self._scaling or self._scaled > 0

    # -- gradients ---------------------------------------------------------------------------

    def before_backward(self, graph: int, seen: Walk | None) -> None:
        """Backward begins; which of its leaves are reached through float16."""
        if self._scaling:
            self._scaled += 1
        else:
            self._plain += 1
        self._leaves = []
        if seen is None or self.under_scaler():
            return
        half = self._half(graph)
        if half:
            self._seen += 1
            if self._sparse.due(self._seen):
                self._leaves = [seen.leaves[i] for i in half if i < len(seen.leaves)]

    def _half(self, key: int) -> list[int]:
        known = self._halves.get(key)
        if known is None:
            graph = self._recorder.record.graphs.get(key)
            if graph is None:
                return []
            known = self._halves[key] = _through_half(graph)
        return known

    def after_backward(self) -> None:
        """It has ended."""
        self._scaling = False
        leaves, self._leaves = self._leaves, []
        if leaves:
            self._measure(leaves)

    def _measure(self, leaves: Iterable[Any]) -> None:
        elements = zero = small = bad = lost = count = 0
        worst, name = 0.0, ""
        with unseen():
            for leaf in leaves:
                gradient = leaf.grad
                if type(gradient) is not torch.Tensor or gradient.layout is not torch.strided:
                    continue
                sizes = few_of(gradient, ELEMENTS).float().abs()
                none = int((sizes == 0).sum())
                few = int((sizes < SMALLEST_NORMAL).sum()) - none
                elements, zero, small = elements + sizes.numel(), zero + none, small + few
                bad += int((~torch.isfinite(sizes)).sum())
                lost, count = lost + (none == sizes.numel()), count + 1
                share = few / max(1, sizes.numel() - none)
                if share > worst:
                    worst, name = share, self._label(leaf)
        if elements:
            counts = {"elements": elements, "zero": zero, "small": small, "nonfinite": bad}
            counts |= {"lost": lost, "parameters": count}
            self._recorder.event("half-gradients", **counts, worst=worst, place=name)

    # -- the scaler --------------------------------------------------------------------------

    def scaler_called(self, kind: str, optimizer: Any) -> None:
        """One of an enabled scaler's methods begins: `scale`, `unscale`, `step`, `update`."""
        if kind == "scale":
            self._scaling = True
        elif kind == "unscale":
            self._unscaled.add(id(optimizer))
        elif kind == "step":
            if self._plain and not self._scaled and not self._scaling:
                self._misused("loss-not-scaled")
            self._stepping, self._stepped = weakref.ref(optimizer), False
        elif kind == "update":
            self._updates += 1
            self._scaled = self._plain = 0
            self._unscaled.clear()

    def scaler_returned(self, kind: str) -> None:
        """It has returned."""
        if kind != "step":
            return
        self._stepping = None
        self._steps += 1
        if self._stepped:
            self._in_row = 0
            return
        self.skipped += 1
        self._in_row += 1
        if self._in_row == STUCK:
            self._misused("stuck", skipped=self.skipped, of=self._steps)

    def scaler_failed(self, error: BaseException) -> None:
        """It has raised an error instead."""
        self._stepping = None
        text = str(error)
        if "FP16 gradients" in text:
            self._misused("half-weights", text=text[:200])
        elif "since the last update" in text and self._steps and not self._updates:
            self._misused("no-update", text=text[:200])

    def clipped(self) -> None:
        """Gradients are clipped."""
        if self._scaled and not self._plain and not self._unscaled:
            self._misused("clipped-scaled")

    def before_step(self, optimizer: Any) -> None:
        """An optimizer steps: called by a scaler, or by the program."""
        stepping = None if self._stepping is None else self._stepping()
        if stepping is not None:
            self._stepped = self._stepped or stepping is optimizer
            return
        if self._scaled and not self._plain and id(optimizer) not in self._unscaled:
            self._misused("scaler-passed-by")

    def _misused(self, kind: str, **facts: Any) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._recorder.event("scaler-misuse", misuse=kind, **facts)


def _through_half(graph: LossGraph) -> list[int]:
    """Positions, among a graph's leaves, of those that are float16 or are used as such."""
    leaves = [node for node in graph.nodes if node.op == LEAF]
    return [
        position
        for position, leaf in enumerate(leaves)
        if "float16" in {leaf.dtype, *(user.dtype for user in graph.users(leaf))}
    ]
