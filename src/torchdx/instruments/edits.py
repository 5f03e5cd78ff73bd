"""Values that autograd kept for backward and that were changed in place before it ran.

Autograd counts the changes and refuses: then the graph still tells which operation had kept the
value, and mostly which line changed it. A change through `.data` is not counted; what a tensor held
when the program asked for its `.data` is compared with what backward is about to use.
"""

import ast
import linecache
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from torchdx.events.recorder import Recorder
from torchdx.graph.capture import Walk, walk
from torchdx.graph.model import LEAF, Line
from torchdx.graph.values import kept, maker, op_of, order
from torchdx.instruments.tensors import unseen

ERROR = "modified by an inplace operation"
MOST = 1 << 20  # elements of a tensor that are compared
EXPOSED = 200  # tensors whose `.data` was asked for that are followed at a time
# What Python's syntax and torch's names say of a change in place.
_IN_PLACE = re.compile(r"(?<![=<>!])(\+|-|\*|/|//|@|\||&)=|\]\s*=(?!=)|\.\w*[a-z]_\(|inplace=True")
# What a layer may do in place.
_LAYERS = frozenset("Relu LeakyRelu Elu Silu Hardtanh Hardswish Hardsigmoid Threshold Mish".split())
_HARMLESS = re.compile(r"clip_grad|requires_grad_|zero_grad|unscale_|manual_seed")


class _Exposed(NamedTuple):
    """A tensor whose `.data` was asked for: what it held then, and when that was."""

    tensor: "weakref.ref[torch.Tensor]"
    held: torch.Tensor
    clock: int
    line: int | None


class Edits:
    """Finds the line that changed what backward needs."""

    def __init__(self, recorder: Recorder, label: Callable[[Any], str]) -> None:
        self._recorder, self._label = recorder, label
        self._root: weakref.ref[Any] | None = None
        self._exposed: list[_Exposed] = []
        self._step: tuple[int | None, weakref.ref[Any]] | None = None
        self._told = False

    def exposed(self, tensor: torch.Tensor, line: int | None) -> None:
        """The program asks for the `.data` of a tensor that has a history, or needs a gradient."""
        plain = tensor.layout is torch.strided and not tensor.is_meta
        if self._told or not plain or tensor.numel() > MOST or len(self._exposed) >= EXPOSED:
            return
        clock = torch._C._autograd._get_sequence_nr()
        with unseen():
            held = tensor.detach().clone()
        self._exposed.append(_Exposed(weakref.ref(tensor), held, clock, line))

    def stepped(self, optimizer: Any, line: int | None) -> None:
        """An optimizer has stepped."""
        self._step = line, weakref.ref(optimizer)

    def before_backward(self, root: Any, seen: Walk | None) -> None:
        """Backward begins."""
        self._root = weakref.ref(root) if isinstance(root, torch.Tensor) else None
        exposed, self._exposed = self._exposed, []
        if exposed and seen is not None and not self._told:
            with unseen():
                self._compare(exposed, seen)

    def _compare(self, exposed: list[_Exposed], seen: Walk) -> None:
        """Whether backward is about to use what was changed behind autograd's back."""
        for entry in exposed:
            tensor = entry.tensor()
            if tensor is None or tensor.shape != entry.held.shape:
                continue
            if torch.equal(tensor.detach(), entry.held) or _holds_nan(entry.held):
                continue
            user = next(_users(tensor, entry.clock, seen), None)
            if user is not None:
                facts = self._of(user, seen.nodes) | {"silent": True, "by_step": False}
                self._told = True
                self._recorder.event("in-place-edit", line=entry.line or 0, **facts)
                return

    def failed(self, error: BaseException) -> None:
        """Backward has raised an error."""
        root = None if self._root is None else self._root()
        if self._told or ERROR not in str(error) or getattr(root, "grad_fn", None) is None:
            return
        nodes = walk(root.grad_fn).nodes  # type: ignore[union-attr]
        changed = [(node, name) for node in nodes for name in _changed(node)]
        if not changed:
            return
        self._told = True
        node, name = max(changed, key=lambda pair: order(pair[0]))
        facts = self._of(node, nodes) | {"silent": False, "kept": name}
        tensor = kept(node).get(name)
        leaf = None if tensor is None else _leaf_of(tensor, nodes)
        if leaf is not None:
            facts["place"] = self._label(leaf)
        line = self._by_step(leaf)
        facts["by_step"] = line is not None
        if line is None:
            line = self._edit_after(node, name, nodes)
        self._recorder.event("in-place-edit", line=line or 0, **facts)

    def _of(self, node: Any, nodes: list[Any]) -> dict[str, Any]:
        """What is told of the operation that had kept the value."""
        near = next(
            (n.variable for n in nodes if type(n).__name__ == LEAF and n in _below(node)), 0
        )
        place = "" if isinstance(near, int) else self._label(near)
        return {"op": op_of(node), "used": self._line(node), "place": place}

    def _line(self, node: Any) -> int | None:
        return self._recorder.frames.of_stack(node.metadata.get("traceback_") or ())[0]

    def _by_step(self, leaf: Any) -> int | None:
        """The line of the optimizer step that moved a parameter, if one holds it."""
        if leaf is None or self._step is None:
            return None
        line, reference = self._step
        optimizer = reference()
        groups = [] if optimizer is None else optimizer.param_groups
        holds = any(p is leaf for group in groups for p in group["params"])
        return line if holds else None

    def _edit_after(self, node: Any, name: str, nodes: list[Any]) -> int | None:
        """The line that changed a kept value: one that uses it, and is written so."""
        source = node if name.startswith("result") else _input(node)
        users = [
            n for n in nodes if n is not node and any(b is source for b, _ in n.next_functions)
        ]
        lines = {n: line for n in users if (line := self._line(n)) is not None}
        found = [line for line in lines.values() if self._in_place(line)]
        if found:
            return found[0]
        written = self._written(self._line(node))
        layers = [line for n, line in lines.items() if op_of(n) in _LAYERS]
        return written or (layers[0] if layers else None)

    def _in_place(self, line: int) -> bool:
        known = self._recorder.record.line(line)
        return known is not None and _edits(known.text)

    def _written(self, used: int | None) -> int | None:
        """The one line behind the use, in the same function, that is written so."""
        line = self._recorder.record.line(used)
        if line is None:
            return None
        running = self._recorder.frames.user_frames(1)
        code = running[0].f_code if running else None
        here = code is not None and (code.co_filename, code.co_name) == (line.file, line.function)
        last = running[0].f_lineno if here else _last_line(line)
        span = range(line.number, last)
        found = [n for n in span if _edits(linecache.getline(line.file, n + 1))]
        if len(found) != 1:
            return None
        return self._recorder.frames.number(line.file, found[0] + 1, line.function)


def _last_line(line: Line) -> int:
    """Where the function ends in which a line stands; the line itself where that is not known."""
    try:
        tree = ast.parse("".join(linecache.getlines(line.file)))
    except SyntaxError:
        return line.number
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    around = [n for n in functions if n.lineno <= line.number <= (n.end_lineno or 0)]
    return min((n.end_lineno or 0 for n in around), default=line.number)


def _edits(text: str) -> bool:
    return bool(_IN_PLACE.search(text)) and not _HARMLESS.search(text)


def _input(node: Any) -> Any:
    below = next((n for n, _ in node.next_functions if n is not None), None)
    return None if below is None else maker(below)


def _changed(node: Any) -> Iterator[str]:
    """Names of the tensors kept for a node that autograd knows to have been changed since."""
    for name in kept(node):
        try:
            getattr(node, "_saved_" + name)
        except RuntimeError as error:
            if ERROR in str(error):
                yield name
        except AttributeError:
            continue


def _leaf_of(tensor: torch.Tensor, nodes: list[Any]) -> Any:
    """The leaf whose memory a tensor shares."""
    leaves = (node.variable for node in nodes if type(node).__name__ == LEAF)
    return next((leaf for leaf in leaves if _shared(leaf, tensor)), None)


def _shared(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _users(tensor: torch.Tensor, clock: int, seen: Walk) -> Iterator[Any]:
    """Operations that kept a tensor's memory before a moment."""
    for node in seen.nodes:
        if type(node).__name__ != LEAF and order(node) < clock:
            values = (v for v in kept(node).values() if isinstance(v, torch.Tensor))
            if any(_shared(value, tensor) for value in values):
                yield node


def _below(node: Any) -> set[Any]:
    return {n for n, _ in node.next_functions if n is not None} | {
        n for below, _ in node.next_functions if below is not None for n, _ in below.next_functions
    }


def _holds_nan(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and bool(torch.isnan(tensor).any())
