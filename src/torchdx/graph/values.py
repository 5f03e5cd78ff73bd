"""The tensors that autograd keeps of an operation, read without running any of the program's code.

A tensor that the program has autograd keep in its own way (activation checkpointing, offloading) is
left out: reading it would compute it anew.
"""

import re
from typing import Any

import torch

from torchdx.graph.capture import signed
from torchdx.graph.model import TRANSPARENT

NUMBERS = ("exponent", "dim", "self_sym_numel", "self_sym_sizes", "reduction", "correction")

_RAW, _SAVED = "_raw_saved_", "_saved_"
_OF_FUNCTION = "_raw_saved_tensors"  # of a Function of the program's own: a tuple
_PLAIN = (torch.Tensor, torch.nn.Parameter)
_SUFFIX = re.compile(r"Backward\d*$")
_NAMES: dict[type, tuple[tuple[str, str, bool], ...]] = {}

# What autograd keeps of an input, under which name, and the number of that input.
_FIRST = {"self": 0, "input": 0, "query": 0, "other": 1, "target": 1, "key": 1, "value": 2}
_PLACES = {
    "Addmm": {"mat1": 1, "mat2": 2},
    "Baddbmm": {"batch1": 1, "batch2": 2},
    "Mm": {"self": 0, "mat2": 1},
    "Bmm": {"self": 0, "mat2": 1},
    "Mv": {"self": 0, "vec": 1},
    "Pow": {"self": 0, "exponent": 1},
}
_WEIGHT_SECOND = {"input": 0, "weight": 1}


def op_of(node: Any) -> str:
    """Its name less `Backward0`: `Addmm`, `Log`."""
    return _SUFFIX.sub("", str(node.name()).rpartition("::")[2])


def order(node: Any) -> int:
    """When the forward made it: later operations have larger numbers."""
    return int(node._sequence_nr())


def kept(node: Any) -> dict[str, Any]:
    """What autograd kept for a node, by name: tensors and numbers; none once backward has run."""
    found = {}
    for attribute, name, numeric in _names_of(type(node)):
        value = getattr(node, attribute)
        if numeric:
            found[name] = signed(value)
        elif getattr(value, "unpack_hook", value) is None:  # older torch cannot tell: not read
            tensor = value.data
            if type(tensor) in _PLAIN and tensor.layout is torch.strided and not tensor.is_meta:
                found[name] = tensor
    return found


def _names_of(kind: type) -> tuple[tuple[str, str, bool], ...]:
    """(attribute, torch's name, whether a number) of all that is kept for nodes of a kind."""
    if kind not in _NAMES:
        names = dir(kind)
        raw = [(n, n.removeprefix(_RAW), False) for n in names if n.startswith(_RAW)]
        tensors = [entry for entry in raw if entry[0] != _OF_FUNCTION]
        known = {name for _, name, _ in raw}
        numbers = [(_SAVED + n, n, True) for n in NUMBERS if _SAVED + n in names and n not in known]
        _NAMES[kind] = (*tensors, *numbers)
    return _NAMES[kind]


def input_of(node: Any, op: str, name: str) -> tuple[bool, Any]:
    """Whether a kept tensor is an input of the node, and the node that made it.

    (True, None): an input that needs no gradient.
    """
    places = _PLACES.get(op) or (_WEIGHT_SECOND if name == "weight" else _FIRST)
    place = places.get(name)
    below = node.next_functions
    if place is None or place >= len(below):
        return False, None
    return True, below[place][0]


def maker(node: Any) -> Any:
    """Go down from a node through changes of layout or precision to what made the values."""
    while op_of(node) in TRANSPARENT:
        below = [n for n, _ in node.next_functions if n is not None]
        if len(below) != 1:
            break
        node = below[0]
    return node
