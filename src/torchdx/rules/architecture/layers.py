"""Linear operations in a loss graph, and what they are called: shared by the rules beside it."""

from dataclasses import dataclass

from torchdx.graph.model import LossGraph, Node

# Changes of shape that keep the features where they are: no transposition, no choice of rows.
RESHAPES = frozenset(
    {"View", "UnsafeView", "ReshapeAlias", "ToCopy", "Squeeze", "Unsqueeze", "Clone", "Alias"}
    | {"Contiguous", "Flatten"}
)
LINEAR = {"Addmm": (1, 2), "Mm": (0, 1), "Convolution": (0, 1)}  # positions of input and weight
DROPOUTS = frozenset({"NativeDropout", "FusedDropout"})


@dataclass(frozen=True)
class Linear:
    """One application of a linear layer.

    weight        its parameter's name; inputs and outputs its features (channels)
    kernel        spatial sizes, empty for a matrix
    """

    node: Node
    weight: str
    inputs: int
    outputs: int
    kernel: tuple[int, ...]
    transposed: bool

    @property
    def layer(self) -> str:
        """The module's name."""
        return self.weight.rpartition(".")[0] or self.weight


def linear(graph: LossGraph, node: Node) -> Linear | None:
    """What a node is as a linear layer; None when it is none, or one with groups."""
    positions = LINEAR.get(node.op)
    if positions is None:
        return None
    leaf = graph.source(graph.input(node, positions[1]))
    if leaf is None or leaf.leaf is None or leaf.shape is None:
        return None
    if node.op != "Convolution":
        rows, columns = _matrix(graph.input(node, positions[1]))
        return Linear(node, leaf.leaf, rows, columns, (), transposed=False)
    if node.saved.get("groups", 1) != 1:
        return None
    transposed = bool(node.saved.get("transposed", False))
    first, second = leaf.shape[:2]
    inputs, outputs = (first, second) if transposed else (second, first)
    return Linear(node, leaf.leaf, inputs, outputs, tuple(leaf.shape[2:]), transposed)


def _matrix(node: Node | None) -> tuple[int, int]:
    """Rows and columns of the matrix that multiplies from the right."""
    shape = () if node is None or node.shape is None else node.shape
    return (shape[0], shape[1]) if len(shape) == 2 else (0, 0)  # noqa: PLR2004  # a matrix


def below(graph: LossGraph, upper: Linear) -> Node | None:
    """The operation that made a linear layer's input, dropout and reshapes left out."""
    node = graph.input(upper.node, LINEAR[upper.node.op][0])
    while node is not None and _passes(graph, node):
        node = next(iter(graph.inputs(node)), None)
    return node


def _passes(graph: LossGraph, node: Node) -> bool:
    if len(graph.users(node)) > 1:
        return False
    return node.op in RESHAPES or is_dropout(node)


def is_dropout(node: Node) -> bool:
    """Whether a node is dropout: on the CPU, a product with a mask that needs no gradient."""
    masks = node.op == "Mul" and "dropout" in node.via and None in node.inputs
    return masks or node.op in DROPOUTS
