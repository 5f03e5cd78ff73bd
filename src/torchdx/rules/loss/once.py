"""Whether an operation that is to be changed can be told from others of its kind by its place."""

from typing import Literal

from torchdx.graph.model import Node
from torchdx.record.model import Record
from torchdx.rules.base import Prescription

Once = Literal["line", "pass", ""]


def once(record: Record, node: Node) -> Once:
    """Within what an operation was seen once in every pass: the whole `pass`, its `line`, neither.

    A module that is called again, a line that runs again, a loop: what is changed where they are
    written is changed for all their calls.
    """
    graphs = [[n for n in g.nodes if n.op == node.op] for g in record.graphs.values()]
    if any(graph.opaque for graph in record.graphs.values()):
        return ""
    if all(len(alike) <= 1 for alike in graphs):
        return "pass"
    told = [alike for alike in graphs if any(n.line for n in alike)]
    here = [sum(n.line in {node.line, None} for n in alike) for alike in told]
    return "line" if node.line is not None and max(here, default=0) == 1 else ""


def left_out(op: str, name: str, seen: Once) -> Prescription:
    """To end the model with its last layer, without the function after it."""
    text = f"take the {name} after the last layer out"
    if not seen:
        text += ", that one alone: others of its kind stay"
    return Prescription("linear_head", text, where=op, once=seen)
