"""Which operation made a tensor, as autograd has it. No treatment: what several of them ask."""

from typing import Any

import torch

# Changes of layout or precision.
_TRANSPARENT = (
    "View UnsafeView ReshapeAlias ToCopy Squeeze Unsqueeze Transpose T Permute Clone Alias Expand"
).split()


def made_by(tensor: torch.Tensor, *ops: str) -> bool:
    """Whether one of some operations (`Sigmoid`, ...) made the values of a tensor."""
    return operation(tensor) in ops


def operation(tensor: torch.Tensor) -> str:
    """The operation that made them, in torch's name less `Backward0`; empty for none."""
    node: Any = tensor.grad_fn
    while node is not None:
        name: str = node.name().rpartition("::")[2].partition("Backward")[0]
        if name not in _TRANSPARENT:
            return name
        node = next((function for function, _ in node.next_functions if function), None)
    return ""
