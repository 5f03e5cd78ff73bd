"""Edits of the loop: what is called, and in which order."""

import ast
from collections.abc import Iterator

from torchdx.rules.base import Prescription
from torchdx.trials.edits import Change, Source, editor

Body = list[ast.stmt]


@editor("zero_grad")
def _zero_grad(source: Source, prescription: Prescription) -> Iterator[Change]:
    """Clear right before backward: put in where it is missing, exchanged where it follows."""
    del prescription
    for body in _bodies(source):
        for at, statement in enumerate(body):
            if not _calls(statement, "backward"):
                continue
            after = body[at + 1 :]
            text, indent = source.segment(statement), " " * statement.col_offset
            if after and _calls(after[0], "zero_grad") and _near(source, body[at : at + 2]):
                yield statement, source.segment(after[0])
                yield after[0], text
                return
            stepped = [_owner(source, s) for s in after if _calls(s, "step")]
            if len(stepped) == 1 and "zero_grad" not in source.text and _near(source, body):
                yield statement, f"{stepped[0]}.zero_grad()\n{indent}{text}"
                return


@editor("step")
def _step(source: Source, prescription: Prescription) -> Iterator[Change]:
    """A step behind backward, of the optimizer that is cleared beside it and steps nowhere."""
    del prescription
    stepped = {_owner(source, s) for b in _bodies(source) for s in b if _calls(s, "step")}
    for body in _bodies(source):
        cleared = [_owner(source, s) for s in body if _calls(s, "zero_grad")]
        idle = [name for name in dict.fromkeys(cleared) if name not in stepped]
        if len(idle) != 1:
            continue
        here = [s for s in body if _calls(s, "step") and _at(source, s)]
        passes = [s for s in body if _calls(s, "backward")]
        if here:
            yield here[0], f"{idle[0]}.step()"
        elif len(passes) == 1 and not stepped:
            indent = " " * passes[0].col_offset
            yield passes[0], f"{source.segment(passes[0])}\n{indent}{idle[0]}.step()"
        return


@editor("scheduler")
def _scheduler(source: Source, prescription: Prescription) -> Iterator[Change]:
    """From the end of the loop over batches to behind it, in the loop over epochs."""
    del prescription
    for outer in ast.walk(source.tree):
        if not isinstance(outer, ast.For):
            continue
        for inner in outer.body:
            last = inner.body[-1] if isinstance(inner, ast.For) and len(inner.body) > 1 else None
            if last is None or not (_calls(last, "step") and _at(source, last)):
                continue
            text, call = source.segment(inner), source.segment(last)
            kept = text[: text.rindex(call)].rstrip()
            yield inner, f"{kept}\n{' ' * inner.col_offset}{call}"
            return


@editor("requires_grad")
def _requires_grad(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`layer.requires_grad = False` becomes a call."""
    statement = source.statement()
    if not prescription.to or not isinstance(statement, ast.Assign) or len(statement.targets) > 1:
        return
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Attribute) and target.attr == "requires_grad":
        yield statement, f"{source.segment(target)}_({source.segment(value)})"


@editor("copy_state")
def _copy_state(source: Source, prescription: Prescription) -> Iterator[Change]:
    """A copy of the state dict that the line takes, without an import that is not there."""
    del prescription
    taken = [call for call in source.calls("state_dict") if not call.args and not call.keywords]
    if len(taken) != 1:
        return
    text = source.segment(taken[0])
    if any(isinstance(n, ast.Import) and any(a.name == "copy" and not a.asname for a in n.names)
           for n in source.tree.body):  # fmt: skip
        yield taken[0], f"copy.deepcopy({text})"
    else:
        yield taken[0], f"{{key: value.clone() for key, value in {text}.items()}}"


def _bodies(source: Source) -> Iterator[Body]:
    for node in ast.walk(source.tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield body


def _calls(statement: ast.stmt, method: str) -> bool:
    """Whether a statement is the call of a method, and nothing else."""
    function = _method(statement)
    return function is not None and function.attr == method


def _method(statement: ast.stmt) -> ast.Attribute | None:
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    return function if isinstance(function, ast.Attribute) else None


def _owner(source: Source, statement: ast.stmt) -> str:
    """What the method of such a statement belongs to: `optimizer` of `optimizer.step()`."""
    function = _method(statement)
    return "" if function is None else source.segment(function.value)


def _at(source: Source, statement: ast.stmt) -> bool:
    return statement.lineno <= source.number <= (statement.end_lineno or statement.lineno)


def _near(source: Source, body: Body) -> bool:
    """Whether the finding's line lies among these statements."""
    return body[0].lineno <= source.number <= (body[-1].end_lineno or body[-1].lineno)
