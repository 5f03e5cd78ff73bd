"""Searches the user's functions for calls that end a gradient's path.

Used only once it is known that a loss has no path to a parameter: the functions of the `torch`
namespace (`torch.argmax`, `torch.tensor`) leave no other trace.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType, FunctionType
from typing import Any

from torch import nn

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
    tree = _parsed(frame)
    found = [] if tree is None else [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    calls = [(call, _called(call)) for call in found if _called(call) in ENDS]
    return sorted(calls, key=lambda pair: pair[0].lineno)


MAX_DEPTH = 6  # names and functions that are followed one into another
_REDUCTIONS = frozenset(["mean", "sum", "norm", "max", "min"])
_ASSIGNED = (ast.Assign, ast.AnnAssign, ast.AugAssign)

Mark = list[object]


class Origin:
    """How the value came to be on which the running user function calls `backward`.

    `made` holds the calls that made the loss itself anew, `inside` all that end a path in what
    went into it: `[what, line number in the record]` each.
    """

    def __init__(self, frame: FrameType, lines: Frames) -> None:
        self._lines = lines
        self.made: list[Mark] = []
        self.inside: list[Mark] = []
        self._seen: set[tuple[str, int]] = set()
        context = _Context.of_frame(frame)
        if context is not None:
            for value in context.backward_on(frame.f_lineno):
                self._made_by(value, context, 0)
                self._inside(value, context, 0)

    def read(self, function: Any) -> None:
        """Search one more function: the `forward` of a module of the user's."""
        code = getattr(function, "__code__", None)
        if code is not None and self._lines.is_user(code.co_filename):
            context = _Context.of_function(function)
            if context is not None:
                self._mark_all(context.tree, context)

    def _made_by(self, value: ast.expr, context: "_Context", depth: int) -> None:
        """Follow the loss itself, not what went into it, to the calls that made it."""
        if depth > MAX_DEPTH:
            return
        if isinstance(value, ast.Name):
            for assigned in context.assigned(value):
                self._made_by(assigned, context, depth + 1)
        elif isinstance(value, ast.Call):
            self._made_by_call(value, context, depth)
        elif isinstance(value, ast.Attribute) and value.attr == "data":
            self._mark(self.made, "data", value, context)
        elif isinstance(value, ast.BinOp):
            self._made_by(value.left, context, depth + 1)
            self._made_by(value.right, context, depth + 1)
        elif isinstance(value, ast.UnaryOp):
            self._made_by(value.operand, context, depth + 1)
        elif isinstance(value, ast.Tuple) and value.elts:
            self._made_by(value.elts[0], context, depth + 1)

    def _made_by_call(self, call: ast.Call, context: "_Context", depth: int) -> None:
        name = _called(call)
        if ENDS.get(name) in {"remake", "item", "numpy", "detach"}:
            self._mark(self.made, ENDS[name], call, context)
        elif name in _REDUCTIONS:  # what stands before is no longer the loss itself
            return
        elif name == "scale" and call.args:  # of a gradient scaler
            self._made_by(call.args[0], context, depth + 1)
        elif (inner := context.function(call)) is not None:
            for returned in inner.returned():
                self._made_by(returned, inner, depth + 1)
        elif isinstance(call.func, ast.Attribute):
            self._made_by(call.func.value, context, depth + 1)

    def _inside(self, value: ast.expr, context: "_Context", depth: int) -> None:
        self._mark_all(value, context)
        if depth > MAX_DEPTH:
            return
        for part in ast.walk(value):
            if isinstance(part, ast.Name) and (context.filename, id(part)) not in self._seen:
                self._seen.add((context.filename, id(part)))
                for assigned in context.assigned(part):
                    self._inside(assigned, context, depth + 1)
            elif isinstance(part, ast.Call):
                inner = context.function(part)
                if inner is not None and self._lines.is_user(inner.filename):
                    self._mark_all(inner.tree, inner)

    def _mark_all(self, tree: ast.AST, context: "_Context") -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in ENDS:
                self._mark(self.inside, ENDS[_called(node)], node, context)

    def _mark(self, marks: list[Mark], what: str, node: ast.expr, context: "_Context") -> None:
        line = self._lines.number(context.filename, context.first + node.lineno, context.name)
        if [what, line] not in marks:
            marks.append([what, line])


class Flow:
    """The calls of `item` whose numbers go into the value on which `backward` is called.

    Followed by name through assignments, entries of dictionaries and places of tuples, and through
    what functions return; what is only computed beside it (for a log) is not met. `lines` holds
    their numbers in the record.
    """

    def __init__(self, frame: FrameType, lines: Frames) -> None:
        self._numbers = lines
        self.lines: list[int] = []
        self._seen: set[tuple[str, int, object]] = set()
        context = _Context.of_frame(frame)
        if context is not None:
            for value in context.backward_on(frame.f_lineno):
                self._follow(value, context, None, 0)

    def _follow(self, value: ast.expr, context: "_Context", part: object, depth: int) -> None:
        """Follow a value; of a tuple or a dictionary only the `part`, where one is asked for."""
        key = context.filename, id(value), part
        if depth > 2 * MAX_DEPTH or key in self._seen:
            return
        self._seen.add(key)
        if part is not None and isinstance(value, ast.Tuple | ast.List | ast.Dict):
            for own in _parts(value, part):
                self._follow(own, context, None, depth + 1)
        elif isinstance(value, ast.Name):
            for assigned, place in context.placed(value):
                self._follow(assigned, context, part if place is None else place, depth + 1)
        elif isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
            self._follow(value.value, context, value.slice.value, depth + 1)
        elif isinstance(value, ast.Call):
            self._follow_call(value, context, part, depth)
        elif not isinstance(value, ast.Attribute | ast.Lambda):
            self._follow_all(ast.iter_child_nodes(value), context, depth)

    def _follow_all(self, values: Iterable[ast.AST], context: "_Context", depth: int) -> None:
        for inner in values:
            if isinstance(inner, ast.expr):
                self._follow(inner, context, None, depth + 1)

    def _follow_call(self, call: ast.Call, context: "_Context", part: object, depth: int) -> None:
        if ENDS.get(_called(call)) == "item":
            line = context.first + call.lineno
            self.lines.append(self._numbers.number(context.filename, line, context.name))
            return
        inner = context.function(call)
        if inner is not None and self._numbers.is_user(inner.filename):
            for returned in inner.returned():
                self._follow(returned, inner, part, depth + 1)
        self._follow_all([*call.args, *(word.value for word in call.keywords)], context, depth)
        if isinstance(call.func, ast.Attribute):
            self._follow(call.func.value, context, None, depth + 1)


def _parts(value: ast.Tuple | ast.List | ast.Dict, part: object) -> Iterator[ast.expr]:
    if isinstance(value, ast.Dict):
        for key, own in zip(value.keys, value.values, strict=True):
            if not isinstance(key, ast.Constant) or key.value == part:
                yield own
    elif isinstance(part, int) and -len(value.elts) <= part < len(value.elts):
        yield value.elts[part]


class _Context:
    """A function's source with the names that mean something in it."""

    def __init__(self, code: Any, names: dict[str, Any], tree: ast.Module, first: int) -> None:
        self.filename, self.name = code.co_filename, code.co_name
        self.tree, self.first, self._names = tree, first, names

    @classmethod
    def of_frame(cls, frame: FrameType) -> "_Context | None":
        """Of the function that is running."""
        code = frame.f_code
        first = 0 if code.co_name == "<module>" else code.co_firstlineno - 1
        tree = _parsed(frame)
        names = {**frame.f_globals, **frame.f_locals}
        return None if tree is None else cls(code, names, tree, first)

    @classmethod
    def of_function(cls, function: Any) -> "_Context | None":
        """Of a function that can be called."""
        function = inspect.unwrap(getattr(function, "__func__", function))
        if not isinstance(function, FunctionType):
            return None
        tree = _parsed(function)
        code = function.__code__
        names = function.__globals__
        return None if tree is None else cls(code, names, tree, code.co_firstlineno - 1)

    def backward_on(self, line: int) -> Iterator[ast.expr]:
        """The expressions on which the call of `backward` that runs on a line works."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            last = node.end_lineno or node.lineno
            if "backward" in node.func.attr and node.lineno <= line - self.first <= last:
                yield node.func.value
                yield from node.args[:1]

    def assigned(self, name: ast.Name) -> list[ast.expr]:
        """What the last assignments before a name's use gave it."""
        found: list[tuple[int, ast.expr]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, _ASSIGNED) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
                if name.id in names and node.lineno < name.lineno:
                    found.append((node.lineno, node.value))
        return [value for _, value in sorted(found, key=lambda pair: -pair[0])[:3]]

    def placed(self, name: ast.Name) -> list[tuple[ast.expr, int | None]]:
        """The same, with the place of the name among several that are assigned at once."""
        found: list[tuple[int, ast.expr, int | None]] = []
        for node in ast.walk(self.tree):
            if not isinstance(node, _ASSIGNED) or node.value is None or node.lineno > name.lineno:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id == name.id:
                    found.append((node.lineno, node.value, None))
                elif isinstance(target, ast.Tuple | ast.List):
                    names = [own.id if isinstance(own, ast.Name) else "" for own in target.elts]
                    if name.id in names:
                        found.append((node.lineno, node.value, names.index(name.id)))
        ordered = sorted(found, key=lambda entry: -entry[0])[:3]
        return [(value, place) for _, value, place in ordered]

    def returned(self) -> list[ast.expr]:
        """What the function returns."""
        returns = (node for node in ast.walk(self.tree) if isinstance(node, ast.Return))
        return [node.value for node in returns if node.value is not None]

    def function(self, call: ast.Call) -> "_Context | None":
        """The function that a call runs, where its source can be read."""
        thing: Any = None
        if isinstance(call.func, ast.Name):
            thing = self._names.get(call.func.id)
        elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            owner = self._names.get(call.func.value.id)
            thing = inspect.getattr_static(owner, call.func.attr, None)
            if isinstance(owner, nn.Module) and not callable(thing):
                thing = owner._modules.get(call.func.attr)
        if isinstance(thing, nn.Module):
            thing = type(thing).forward
        return None if thing is None else _Context.of_function(thing)


def _parsed(thing: Any) -> ast.Module | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, SyntaxError, TypeError, ValueError):
        return None


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
