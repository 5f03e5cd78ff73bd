"""The autograd graph of one loss as plain data: what rules read instead of torch.

Node 0 is the root, the operation that made the tensor on which `backward` was called. `inputs`
point to the operations that made a node's differentiable inputs, in the order of its arguments;
`None` stands for an argument that needs no gradient.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

# Operations that change layout, precision or place, but no value that a rule reasons about.
TRANSPARENT = frozenset(
    "View UnsafeView ReshapeAlias ToCopy Squeeze Unsqueeze Transpose T Permute Clone Alias "
    "Contiguous Select Slice Index AsStrided Flatten MaskedSelect IndexSelect Narrow Split Unbind "
    "SplitWithSizes Movedim Swapaxes Expand".split()
)

# Losses that torch computes in one operation, which therefore carries its own settings.
HEADS = frozenset(
    "MseLoss SmoothL1Loss HuberLoss BinaryCrossEntropyWithLogits BinaryCrossEntropy NllLoss "
    "NllLoss2D SoftMarginLoss MultiMarginLoss MultilabelMarginLoss CtcLoss KlDiv".split()
)

# Operations whose derivative is zero wherever it exists.
FLAT = frozenset("Round Floor Ceil Sign Trunc Heaviside".split())

LEAF = "AccumulateGrad"


@dataclass(frozen=True)
class Line:
    """A line of the user's program."""

    file: str
    number: int
    function: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


class Edge(NamedTuple):
    """One input of a node: the node that made it, and which of that node's outputs it is."""

    node: int
    output: int


@dataclass(frozen=True)
class Node:
    """One differentiable operation.

    op      torch's name less `Backward0`: `Addmm`, `NllLoss`, `Relu`
    shape   of its result; `dtype` likewise ("float32")
    saved   scalars that autograd kept for it (`reduction`, `dim`, `training`, ...), and for loss
            heads a few values read once: `self_logsumexp`, `target_min`, `weight`, ...
    leaf    the parameter's name where `op` is `AccumulateGrad`
    line    where the user's program ran it, when that was seen
    via     the function of `torch.nn.functional` that ran it: `cross_entropy`, `dropout`
    """

    index: int
    op: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    saved: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Edge | None, ...] = ()
    leaf: str | None = None
    line: Line | None = None
    via: str = ""

    @property
    def rank(self) -> int:
        """The number of dimensions of its result, 0 when unknown."""
        return len(self.shape) if self.shape else 0


@dataclass(frozen=True)
class LossGraph:
    """One structure of loss graph, seen once in full.

    backward    the line that called `backward`
    step        optimizer steps done when it was first seen
    opaque      why part of it cannot be seen (reentrant checkpoint, compiled region), if so
    """

    key: int
    nodes: tuple[Node, ...]
    backward: Line | None = None
    step: int = 0
    opaque: str = ""

    @property
    def root(self) -> Node:
        """The operation that made the loss."""
        return self.nodes[0]

    @cached_property
    def _users(self) -> dict[int, list[int]]:
        users: dict[int, list[int]] = {}
        for node in self.nodes:
            for edge in node.inputs:
                if edge is not None:
                    users.setdefault(edge.node, []).append(node.index)
        return users

    def users(self, node: Node) -> list[Node]:
        """The operations that consume a node's result, towards the loss."""
        return [self.nodes[i] for i in self._users.get(node.index, [])]

    def inputs(self, node: Node) -> list[Node]:
        """The operations that made a node's differentiable inputs."""
        return [self.nodes[edge.node] for edge in node.inputs if edge is not None]

    def input(self, node: Node, position: int) -> Node | None:
        """The operation behind one argument, or None when it needs no gradient."""
        edge = node.inputs[position] if position < len(node.inputs) else None
        return None if edge is None else self.nodes[edge.node]

    def source(self, node: Node | None, through: frozenset[str] = TRANSPARENT) -> Node | None:
        """Go down from `node` through operations in `through` to the one that made the values."""
        while node is not None and node.op in through:
            made_by = self.inputs(node)
            if len(made_by) != 1:
                break
            node = made_by[0]
        return node

    def consumers(self, node: Node, through: frozenset[str] = TRANSPARENT) -> list[Node]:
        """Go up from `node` through operations in `through` to those that use its values."""
        found: list[Node] = []
        waiting = deque(self.users(node))
        while waiting:
            user = waiting.popleft()
            if user.op in through and self.users(user):
                waiting.extend(self.users(user))
            else:
                found.append(user)
        return found

    def path_to_root(self, node: Node) -> Iterator[Node]:
        """The nodes above `node`, one path, the root last."""
        seen = set()
        while (users := self.users(node)) and users[0].index not in seen:
            node = users[0]
            seen.add(node.index)
            yield node

    def below(self, node: Node) -> Iterator[Node]:
        """All nodes that feed `node`, itself included, nearest first."""
        seen = {node.index}
        waiting = deque([node])
        while waiting:
            current = waiting.popleft()
            yield current
            for made_by in self.inputs(current):
                if made_by.index not in seen:
                    seen.add(made_by.index)
                    waiting.append(made_by)

    @cached_property
    def heads(self) -> tuple[Node, ...]:
        """The loss operations in it, nearest to the root first."""
        return tuple(node for node in self.below(self.root) if node.op in HEADS)

    @property
    def leaves(self) -> dict[str, Node]:
        """Parameters by name."""
        return {node.leaf: node for node in self.nodes if node.leaf is not None}

    def above(self, leaves: Iterable[str]) -> set[int]:
        """Indices of all operations into which the values of these parameters flow."""
        named = self.leaves
        waiting = [named[name].index for name in leaves if name in named]
        found: set[int] = set()
        while waiting:
            for user in self._users.get(waiting.pop(), ()):
                if user not in found:
                    found.add(user)
                    waiting.append(user)
        return found

    def users_of(self, leaf: str) -> list[Node]:
        """The operations that use a parameter: one for each time that its layer was applied."""
        node = self.leaves.get(leaf)
        return [] if node is None else self.consumers(node)

    def scale(self, head: Node) -> float | None:
        """The factor between a loss head and the root: 0.25 for `loss / 4`.

        None when it cannot be told: a tensor divides, a mean follows, or paths part.
        """
        factor = 1.0
        for node in self.path_to_root(head):
            if node.op in {"Mean", "Sum"}:
                return None
            if node.op in {"Div", "Mul"}:
                by = node.saved.get("other")
                if not isinstance(by, int | float) or by == 0:
                    return None
                factor = factor / by if node.op == "Div" else factor * by
        return factor
