"""Edits of what a loss is given, and how it sums up."""

import ast
from collections.abc import Iterator

from torchdx.rules.base import Prescription
from torchdx.trials.edits import Change, Source, editor


@editor("reduction")
def _reduction(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`reduction="sum"` on the finding's line; where it has none, the only one of the file."""
    del prescription
    found = [node for here in (True, False) for node in _summing(source, here=here)]
    everywhere = list(_summing(source, here=False))
    if found and (len(everywhere) == 1 or found[0] not in everywhere[1:]):
        yield found[0], '"mean"'


def _summing(source: Source, *, here: bool) -> Iterator[ast.expr]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        last = node.end_lineno or node.lineno
        if here and not node.lineno <= source.number <= last:
            continue
        for keyword in node.keywords:
            value = keyword.value
            summing = isinstance(value, ast.Constant) and value.value == "sum"
            if keyword.arg == "reduction" and summing:
                yield value
