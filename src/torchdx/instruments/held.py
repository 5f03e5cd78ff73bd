"""Looks for losses that the program holds on to together with their history.

After an optimizer step the loss of that step is of no more use; a variable whose value is a sum
over the losses of all steps, or a list of them, keeps every one of their graphs alive.
"""

import ast
import collections
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from torchdx.events.frames import variables_of
from torchdx.events.recorder import Recorder

MAX_LINKS = 5_000  # a longer chain is followed no further
_MARK = "torchdx look"
_INSIDE = 50  # values of one dict or object that are searched
_DICTS = (dict, collections.defaultdict, collections.OrderedDict)
_FRAMES = 4  # frames of the user's program that are searched, nearest first


def look(recorder: Recorder) -> None:
    """Record every variable of the running user frames that holds a chain of losses.

    `links` are its losses; `old` of them were held at an earlier look already.
    """
    for frame in recorder.frames.user_frames(_FRAMES):
        for name, nodes, kind, owner in _chains(variables_of(frame), recorder):
            number = _line_in_class(recorder, owner, name)
            line = _line_of(frame, name) if number is None else None
            if line is not None:
                code = frame.f_code
                number = recorder.frames.number(code.co_filename, line, code.co_name)
            if number is not None:
                facts = {"links": len(nodes), "old": _mark(nodes, recorder.steps)}
                recorder.event("held", line=number, name=name, form=kind, **facts)


def _chains(local: Any, recorder: Recorder) -> Iterator[tuple[str, list[Any], str, type | None]]:
    """(name, its losses, form, class that holds it) of variables, and one level inside them."""
    for name, value in list(local.items()):
        yield from ((*found, None) for found in _chain(name, value))
        if type(value) in _DICTS:
            for key, held in list(value.items())[:_INSIDE]:
                yield from ((*found, None) for found in _chain(f"{name}[{key!r}]", held))
        elif name == "self" or _users_own(value, recorder):
            owner = None if name == "self" else type(value)
            for inner, held in list(getattr(value, "__dict__", {}).items())[:_INSIDE]:
                yield from ((*found, owner) for found in _chain(f"{name}.{inner}", held))


def _users_own(value: Any, recorder: Recorder) -> bool:
    """Whether a value is an object of a class that the program defines (a meter, say)."""
    module = sys.modules.get(type(value).__module__)
    file = getattr(module, "__file__", None)
    plain = isinstance(value, type | torch.nn.Module) or file is None
    return not plain and recorder.frames.is_user(str(file))


def _line_in_class(recorder: Recorder, owner: type | None, name: str) -> int | None:
    """The line of a class's method that adds to an attribute of its objects."""
    if owner is None:
        return None
    try:
        source, first = inspect.getsourcelines(owner)
        tree = ast.parse(textwrap.dedent("".join(source)))
        file = inspect.getsourcefile(owner)
    except (OSError, SyntaxError, TypeError):
        return None
    attribute = "self." + name.rpartition(".")[2]
    for node in ast.walk(tree):
        if file is not None and _adds_to(node, attribute):
            line = first + int(getattr(node, "lineno", 1)) - 1
            return recorder.frames.number(file, line, owner.__name__)
    return None


def _chain(name: str, value: Any) -> Iterator[tuple[str, list[Any], str]]:
    if isinstance(value, torch.Tensor):
        if _scalar_with_history(value) and len(nodes := sum_chain(value)) > 1:
            yield name, nodes, "sum"
    elif isinstance(value, list) and len(value) > 1 and _scalar_with_history(value[-1]):
        held = [item.grad_fn for item in value[-MAX_LINKS:] if _scalar_with_history(item)]
        yield name, held, "list"


def _scalar_with_history(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None and value.numel() == 1


def sum_chain(total: torch.Tensor) -> list[Any]:
    """The additions, one behind another, that made a scalar."""
    node: Any = total.grad_fn
    chain: list[Any] = []
    while len(chain) < MAX_LINKS and node is not None and _adds(node):
        chain.append(node)
        below = [n for n, _ in node.next_functions if n is not None]
        node = next(filter(_adds, below), None)
    return chain


def _adds(node: Any) -> bool:
    return str(node.name()).startswith("AddBackward")


def _mark(nodes: list[Any], step: int) -> int:
    """Mark nodes with a step, in the dict that autograd keeps for each; how many had another."""
    return sum(node.metadata.setdefault(_MARK, step) != step for node in nodes)


def _line_of(frame: FrameType, name: str) -> int | None:
    """The line that adds to a variable: `name += ...`, `name = name + ...`, `name.append(...)`."""
    try:
        source = textwrap.dedent(inspect.getsource(frame))
        tree = ast.parse(source)
    except (OSError, SyntaxError, TypeError):
        return None
    first = 1 if frame.f_code.co_name == "<module>" else frame.f_code.co_firstlineno
    for node in ast.walk(tree):
        if _adds_to(node, name):
            return first + int(getattr(node, "lineno", 1)) - 1
    return None


def _means(target: str, name: str) -> bool:
    """Whether an expression is a variable, or stands for a value of the same dict."""
    base, bracket, _ = name.partition("[")
    return target == name or (bool(bracket) and target.startswith(base + bracket))


def _adds_to(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.AugAssign):
        return _means(ast.unparse(node.target), name)
    if isinstance(node, ast.Assign):
        named = any(ast.unparse(target) == name for target in node.targets)
        return named and isinstance(node.value, ast.BinOp) and name in ast.unparse(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in {"append", "extend"} and _means(ast.unparse(node.func.value), name)
    return False
