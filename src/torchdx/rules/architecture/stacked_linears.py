"""stacked-linears (A01): one linear layer feeds another with nothing non-linear between.

## What is seen
The input of a linear layer (or convolution) is the output of another of the same kind and the same
model, used nowhere else, with at most dropout and reshapes between, in every loss graph; and the
layer between is wide enough that the two together are just one linear map.
## Why the net does not learn
A product of matrices is a matrix: the second layer adds parameters, but nothing that the first
could not represent. Where all layers are chained so, the net is a linear model, however deep.
## When this is wrong
Bottlenecks (a middle narrower than both sides: factorised embeddings, adapters), separable and
1x1 convolutions and layers with normalisation between are passed over. Deep linear nets that are
studied for themselves.
## What to try
Put a ReLU (or another non-linear function) between the layers, or merge them.
## Sources
Stack Overflow 46181692; Goodfellow et al. 2016, section 6.1 (why hidden layers need one).
"""

from collections.abc import Iterator, Sequence

from torchdx.graph.model import Line, LossGraph
from torchdx.record.model import Record
from torchdx.rules.architecture.layers import Linear, below, linear
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

Pair = tuple[Linear, Linear]
_SCALING = frozenset({"Mul", "Div", "View", "UnsafeView", "ToCopy"})


@rule("A01", "stacked-linears")
def check(record: Record) -> Iterator[Answer]:
    """One finding with all such layers."""
    graphs = [graph for graph in record.graphs.values() if not graph.opaque]
    pairs = {graph.key: _pairs(record, graph) for graph in graphs}
    found: dict[tuple[str, str], Pair] = {}
    for graph in graphs:
        for names, pair in pairs[graph.key].items():
            if all(names in pairs[g.key] for g in graphs if names[0] in g.leaves):
                found.setdefault(names, pair)
    if found:
        whole = next((g for g in graphs if pairs[g.key] and _all_linear(g)), None)
        yield _finding(record, list(found.values()), whole)


def _pairs(record: Record, graph: LossGraph) -> dict[tuple[str, str], Pair]:
    found: dict[tuple[str, str], Pair] = {}
    for node in graph.nodes:
        upper = linear(graph, node)
        source = None if upper is None else below(graph, upper)
        lower = None if source is None else linear(graph, source)
        if upper is None or lower is None or len(graph.users(lower.node)) != 1:
            continue
        if (
            _redundant(lower, upper)
            and _together(record, lower, upper)
            and not _beside(graph, upper)
        ):
            found[lower.weight, upper.weight] = (lower, upper)
    return found


def _redundant(lower: Linear, upper: Linear) -> bool:
    """Whether the two are of one kind and their middle takes nothing away."""
    alike = len(lower.kernel) == len(upper.kernel) and not (lower.transposed or upper.transposed)
    if not alike or lower.outputs != upper.inputs or lower.weight == upper.weight:
        return False
    if lower.kernel and not (_wide(lower.kernel) and _wide(upper.kernel)):
        return False
    return lower.outputs >= min(lower.inputs, upper.outputs)


def _wide(kernel: Sequence[int]) -> bool:
    """Whether a kernel spans every direction: 1x1 projects, 1xk is half of a separable one."""
    return all(size > 1 for size in kernel)


def _together(record: Record, lower: Linear, upper: Linear) -> bool:
    """Whether one model holds both, and one optimizer trains them."""
    both = {lower.weight, upper.weight}
    one_model = any(both <= set(model.parameters) for model in record.models)
    apart = any(len(both.intersection(o.parameters)) == 1 for o in record.optimizers.values())
    return one_model and not apart


def _beside(graph: LossGraph, upper: Linear) -> bool:
    """Whether its result is added to something else: an adapter beside a layer."""
    users = graph.consumers(upper.node, through=_SCALING)
    return any(user.op == "Add" and len(graph.inputs(user)) > 1 for user in users)


def _all_linear(graph: LossGraph) -> bool:
    """Whether the parameters of one chain of linear layers are all that the loss depends on."""
    for node in graph.below(graph.root):
        top = linear(graph, node)
        if top is not None:
            return _chain_leaves(graph, top) == set(graph.leaves)
    return False


def _chain_leaves(graph: LossGraph, top: Linear) -> set[str]:
    found: set[str] = set()
    layer: Linear | None = top
    while layer is not None:
        sources = (graph.source(made_by) for made_by in graph.inputs(layer.node))
        found |= {source.leaf for source in sources if source is not None and source.leaf}
        source = below(graph, layer)
        layer = None if source is None else linear(graph, source)
    return found


def _line(record: Record, lower: Linear, upper: Linear) -> Line | None:
    """Where the upper layer is called; where it is made, when a container calls both."""
    called = upper.node.line or lower.node.line
    if called is not None and called != lower.node.line:
        return called
    made = (model.lines.get(upper.layer) for model in record.models if upper.layer in model.modules)
    return next(made, None) or called


def _finding(record: Record, pairs: list[Pair], whole: LossGraph | None) -> Finding:
    lower, upper = pairs[0]
    sizes = f"{lower.inputs} to {lower.outputs} to {upper.outputs}"
    layers = list(dict.fromkeys(layer.layer for pair in pairs for layer in pair))
    text = (
        f"{upper.layer} works on the output of {lower.layer} ({sizes}) with nothing non-linear "
        "between: the two are one linear map"
    )
    if len(pairs) > 1:
        text += f"; so are {len(pairs)} pairs in all ({', '.join(layers)})"
    if whole is not None:
        text += "; the whole net is a linear model"
    return Finding(
        text=text,
        line=_line(record, lower, upper),
        place=upper.layer,
        severity="fault" if whole is not None else "suspicion",
        confirm="" if whole is not None else "whether the two layers are to be one linear map",
        evidence=(
            Evidence("non-linear operations between the layers", 0, 1),
            Evidence("width of the middle", lower.outputs, min(lower.inputs, upper.outputs)),
        ),
        prescriptions=(
            Prescription(
                "activation",
                f"put a ReLU between {', '.join(f'{a.layer} and {b.layer}' for a, b in pairs)}",
                where=", ".join(b.layer for _, b in pairs),
            ),
        ),
    )
