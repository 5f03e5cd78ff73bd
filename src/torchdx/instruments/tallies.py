"""Reads, at the end of a validation, by what the program divides its count of right answers.

Our own count of right answers and rows is known. In the source of the function that ran the
validation, and of the classes of its objects, divisions are looked for whose numerator now has the
value of that count; what stands below is worked out from the same variables. Nothing of the
program is called for it: names, attributes of plain objects, numbers and `len` of torch's own
classes and Python's are read.

`tally` events: right, rows, batches, batch (rows of the first), last (rows of the last),
denominator, text of the division; `line` is its own.
"""

import ast
import inspect
import math
import numbers
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from torchdx.events.frames import variables_of
from torchdx.events.loop import Pass
from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder, Sparse
from torchdx.instruments.tensors import plain

FRAMES = 2  # of the user's program, nearest first
OBJECTS = 50  # variables of a frame whose classes are read
RIGHT = 2  # right answers below which a count is like another by chance
PERCENT = 100
_DENSE = 3  # validations that are looked at one by one
_SIZED = (list, tuple, dict, set, str, range, torch.Tensor)
_SAME_VALUE = frozenset("item float double cpu detach".split())


@dataclass(frozen=True)
class _Division:
    """A chain of `*` and `/` with at least one `/`, as written."""

    above: tuple[ast.expr, ...]
    below: tuple[ast.expr, ...]
    line: int
    text: str


@dataclass
class _Source:
    """The divisions of a piece of source, and where names are given plain values in it."""

    file: str
    name: str
    divisions: list[_Division] = field(default_factory=list)
    assigned: dict[str, list[int]] = field(default_factory=dict)


class Tallies:
    """Looks at the first validations, then ever more rarely.

    Args:
        recorder: where divisions go.
        data: the numbers of data sets, by which a pass knows its own.
    """

    def __init__(self, recorder: Recorder, data: Numbers) -> None:
        self._recorder, self._data = recorder, data
        self._sparse, self._count = Sparse(_DENSE, ratio=2.0), 0
        self._read: dict[Any, _Source | None] = {}

    def ended(self, closing: Pass) -> None:
        """A pass over a loader has come to its end, in a loop of the program's."""
        validation = closing.backwards == 0 and closing.steps == 0
        if not validation or closing.right < RIGHT:
            return
        self._count += 1
        if self._sparse.due(self._count):
            for frame in self._recorder.frames.user_frames(FRAMES):
                self._look(frame, closing)

    def _look(self, frame: FrameType, closing: Pass) -> None:
        local = variables_of(frame)
        source = self._source(frame.f_code, frame)
        if source is not None:
            here = frame.f_lineno
            ahead = [
                d for d in source.divisions if d.line >= here and not _renewed(source, d, here)
            ]
            scope = _Scope(local, frame.f_globals, closing, self._data)
            self._judge(ahead, scope, closing, source)
        others = [v for k, v in list(local.items())[:OBJECTS] if k != "self"]
        for value in others:
            inner = self._source(type(value), type(value)) if self._users_own(value) else None
            if inner is not None:
                own = _Scope({"self": value}, {}, closing, self._data)
                self._judge(inner.divisions, own, closing, inner)

    def _judge(
        self, divisions: list[_Division], scope: "_Scope", closing: Pass, source: _Source
    ) -> None:
        """Write down what the right answers are divided by, unless somewhere it is the rows."""
        found = [(d, _denominator(d, scope, closing.right)) for d in divisions]
        known = [(division, below) for division, below in found if below is not None]
        if any(_equal(below, closing.scored) for _, below in known):
            return
        for division, below in known:
            line = self._recorder.frames.number(source.file, division.line, source.name)
            self._recorder.event(
                "tally",
                line=line,
                right=closing.right,
                rows=closing.scored,
                batches=closing.batches,
                batch=closing.first,
                last=closing.last,
                denominator=below,
                text=division.text[:100],
            )

    def _users_own(self, value: Any) -> bool:
        """Whether a value is a plain object of a class that the program defines."""
        file = getattr(sys.modules.get(type(value).__module__), "__file__", None)
        plain = not isinstance(value, type | torch.nn.Module | Dataset)
        return file is not None and plain and self._recorder.frames.is_user(str(file))

    def _source(self, key: CodeType | type, thing: Any) -> _Source | None:
        if key not in self._read:
            self._read[key] = _read(thing)
        return self._read[key]


def _denominator(division: _Division, scope: "_Scope", right: float) -> float | None:
    """What stands below the count of right answers; None where this is not what is divided."""
    above = [(part, scope.value(part)) for part in division.above]
    counted = [p for p, v in above if v is not None and _equal(v, right) and _named(p)][:1]
    others = [v for p, v in above if p not in counted and v != PERCENT]
    below = [scope.value(part) for part in division.below]
    if not counted or None in below or None in others:
        return None
    top = math.prod(v for v in others if v is not None)
    return math.prod(v for v in below if v is not None) / top if top else None


def _named(part: ast.expr) -> bool:
    return not isinstance(part, ast.Constant)


class _Scope:
    """Works out simple expressions from the variables at hand."""

    def __init__(
        self, local: Mapping[str, Any], outer: Mapping[str, Any], closing: Pass, data: Numbers
    ) -> None:
        self._local, self._outer, self._closing, self._data = local, outer, closing, data

    def value(self, node: ast.expr) -> float | None:
        """An expression's value as a number; None where it is not that simple."""
        try:
            return _number(self._thing(node))
        except (KeyError, IndexError, TypeError, ValueError, ArithmeticError):
            return None

    def _thing(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._local[node.id] if node.id in self._local else self._outer[node.id]
        if isinstance(node, ast.Attribute):
            holder = self._thing(node.value)
            plain = node.attr == "shape" and isinstance(holder, torch.Tensor)
            return tuple(holder.shape) if plain else vars(holder)[node.attr]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            holder = self._thing(node.value)
            return holder[node.slice.value] if type(holder) in {dict, list, tuple} else None
        if isinstance(node, ast.BinOp):
            return _worked_out(node.op, self.value(node.left), self.value(node.right))
        return self._called(node) if isinstance(node, ast.Call) else None

    def _called(self, node: ast.Call) -> Any:
        """`len(x)`, `max(x, 1)`, `float(x)`, `int(x)`, `x.item()`, `x.float()`, ..."""
        if isinstance(node.func, ast.Attribute):
            return self._thing(node.func.value) if node.func.attr in _SAME_VALUE else None
        if not isinstance(node.func, ast.Name) or not node.args:
            return None
        if node.func.id == "len":
            return self._length(self._thing(node.args[0]))
        if node.func.id in {"float", "int"}:
            return self._thing(node.args[0])
        if node.func.id == "max":
            values = [self.value(part) for part in node.args]
            return None if None in values else max(v for v in values if v is not None)
        return None

    def _length(self, thing: Any) -> int | None:
        if isinstance(thing, DataLoader):
            own = self._data.known(thing.dataset)
            own = own and self._data.of(thing.dataset) == self._closing.loader
            return self._closing.batches if own else None
        if type(thing) is Subset:
            return len(thing.indices)
        if type(thing) is TensorDataset:
            return len(thing.tensors[0])
        return len(thing) if type(thing) in _SIZED or hasattr(thing, "__array__") else None


def _number(value: Any) -> float | None:
    if isinstance(value, torch.Tensor):
        return float(value.detach().item()) if plain(value) and value.numel() == 1 else None
    return float(value) if isinstance(value, numbers.Real) else None


def _worked_out(op: ast.operator, one: float | None, two: float | None) -> float | None:
    if one is None or two is None:
        return None
    if isinstance(op, ast.Mult):
        return one * two
    if isinstance(op, ast.Div):
        return one / two
    if isinstance(op, ast.Add):
        return one + two
    return one - two if isinstance(op, ast.Sub) else None


def _equal(value: float, count: float) -> bool:
    return math.isclose(value, count, rel_tol=1e-6)


def _read(thing: FrameType | type) -> _Source | None:
    """The divisions in the source of a running function, module or class."""
    try:
        if isinstance(thing, FrameType):
            lines, first = inspect.getsourcelines(thing)
            file, name = thing.f_code.co_filename, thing.f_code.co_name
            first = 1 if name == "<module>" else first
        else:
            lines, first = inspect.getsourcelines(thing)
            file, name = str(inspect.getsourcefile(thing)), thing.__name__
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return None
    source = _Source(file, name)
    for chain in _chains(tree):
        above, below = _factors(chain)
        if below:
            line = chain.lineno + first - 1
            source.divisions.append(_Division(above, below, line, ast.unparse(chain)))
    for node in ast.walk(tree):
        for name_ in _renamed(node):
            source.assigned.setdefault(name_, []).append(node.lineno + first - 1)  # type: ignore[attr-defined]
    return source


def _renamed(node: ast.AST) -> set[str]:
    """The names that an assignment gives values which do not come from their old ones."""
    if not isinstance(node, ast.Assign):
        return set()
    targets = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return targets - {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}


def _chains(tree: ast.AST) -> Iterator[ast.BinOp]:
    """The outermost products and quotients, and those inside their factors."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BinOp) and _multiplies(node):
            yield node
            waiting.extend(part for side in _factors(node) for part in side)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _multiplies(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div)


def _factors(node: ast.expr) -> tuple[tuple[ast.expr, ...], tuple[ast.expr, ...]]:
    """What is multiplied, and what is divided by."""
    if not isinstance(node, ast.BinOp) or not _multiplies(node):
        return (node,), ()
    (above, below), (right, under) = _factors(node.left), _factors(node.right)
    if isinstance(node.op, ast.Mult):
        return above + right, below + under
    return above + under, below + right


def _renewed(source: _Source, division: _Division, here: int) -> bool:
    """Whether a name in the numerator is given another value between here and the division."""
    names = {n.id for part in division.above for n in ast.walk(part) if isinstance(n, ast.Name)}
    given = (line for name in names for line in source.assigned.get(name, ()))
    return any(here < line < division.line for line in given)
