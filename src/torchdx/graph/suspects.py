"""Searches the running user function for calls that end a gradient's path.

Used only once it is known that a loss has no path to a parameter: the functions of the `torch`
namespace (`torch.argmax`, `torch.tensor`) leave no other trace.
"""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from types import FrameType

from torchdx.events.frames import Frames

# name of the call -> what the record calls it
ENDS = {
    **dict.fromkeys(["tensor", "as_tensor", "from_numpy", "FloatTensor", "Tensor"], "remake"),
    **dict.fromkeys(["Variable"], "remake"),
    **dict.fromkeys(["item", "tolist"], "item"),
    **dict.fromkeys(["numpy"], "numpy"),
    **dict.fromkeys(["argmax", "argmin"], "argmax"),
    **dict.fromkeys(["round", "floor", "ceil", "sign"], "round"),
    **dict.fromkeys(["detach", "detach_"], "detach"),
    **dict.fromkeys(["no_grad", "inference_mode"], "no-grad"),
}


def search(frames: Sequence[FrameType], lines: Frames) -> list[list[object]]:
    """`[what, line number in the record]` of each such call in the given frames, in order."""
    found: list[list[object]] = []
    for frame in frames:
        first = 1 if frame.f_code.co_name == "<module>" else frame.f_code.co_firstlineno
        for call, name in _calls(frame):
            number = lines.number(
                frame.f_code.co_filename, first + call.lineno - 1, frame.f_code.co_name
            )
            found.append([ENDS[name], number])
    return found[:50]


def _calls(frame: FrameType) -> list[tuple[ast.Call, str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(frame)))
    except (OSError, SyntaxError, TypeError):
        return []
    calls = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ENDS:
                calls.append((node, name))
    return sorted(calls, key=lambda pair: pair[0].lineno)
