"""The edit that a finding asks for, in the user's own lines: shown as a diff, never made by us.

An edit is given only where the line and the change leave no doubt; else the reason is told.
"""

import ast
import difflib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torchdx.graph.model import Line
from torchdx.rules.base import Finding, Prescription

Change = tuple[ast.expr | ast.stmt, str]
Editor = Callable[["Source", Prescription], Iterator[Change]]


@dataclass(frozen=True)
class Edit:
    """A change of one file.

    file   which, and the first `line` of it that is changed, as it is today
    words  what is changed, and where
    diff   in unified form, paths relative to `root`: for `git apply`
    """

    file: str
    line: int
    words: str
    diff: str


class MovedError(Exception):
    """The line is no longer in its file, or in several places."""


class Source:
    """A file of the user's, parsed, and the line that a finding names in it.

    Line ends are as they are in the file. `number` is that of the line today.
    """

    def __init__(self, line: Line) -> None:
        self.path = Path(line.file)
        self.text = self.path.read_bytes().decode()
        self.number = _today(line, self.text)
        self.tree = ast.parse(self.text)
        self._starts = [0]
        for each in self.text.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(each))

    def calls(self, *names: str, here: bool = True) -> Iterator[ast.Call]:
        """Calls of functions with one of these last names, on the finding's line or anywhere."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call) or _name(node.func) not in names:
                continue
            if not here or node.lineno <= self.number <= (node.end_lineno or node.lineno):
                yield node

    def statement(self) -> ast.stmt | None:
        """The innermost statement that the finding's line belongs to."""
        found = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt)
            and node.lineno <= self.number <= (node.end_lineno or node.lineno)
        ]
        return max(found, key=lambda node: node.lineno, default=None)

    def segment(self, node: ast.AST) -> str:
        """What a node is written as."""
        return ast.get_source_segment(self.text, node) or ""

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """First byte of a node, and the one behind its last."""
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        return start, end

    def changed(self, changes: list[Change]) -> str:
        """The text with nodes replaced."""
        raw = self.text.encode()
        for node, text in sorted(changes, key=lambda c: -self.span(c[0])[0]):
            start, end = self.span(node)
            raw = raw[:start] + text.encode() + raw[end:]
        return raw.decode()


_EDITORS: dict[str, Editor] = {}


def editor(change: str) -> Callable[[Editor], Editor]:
    """Register the function below as what writes the edits of a change."""

    def register(function: Editor) -> Editor:
        _EDITORS[change] = function
        return function

    return register


def edit_of(finding: Finding, prescription: Prescription, root: Path) -> Edit | str:
    """The edit of a finding, or why none can be given.

    Args:
        finding: with the line that it names.
        prescription: one of its own.
        root: what the paths of the diff are relative to.
    """
    import torchdx.trials.editors  # noqa: F401, PLC0415  # they register themselves

    line, write = finding.line, _EDITORS.get(prescription.change)
    where = "" if line is None else f" ({_short(line.file, root)}:{line.number})"
    if line is None or write is None:
        return f"by hand: {prescription.text}{where}"
    try:
        source = Source(line)
        changes = list(write(source, prescription))
        after = source.changed(changes)
        ast.parse(after)
    except MovedError:
        return f"by hand, for the file is not the one that was run: {prescription.text}{where}"
    except (OSError, SyntaxError, ValueError):
        return f"by hand, for the file cannot be read: {prescription.text}{where}"
    if not changes or after == source.text:
        return f"by hand, for that line leaves it open: {prescription.text}{where}"
    where = f" ({_short(line.file, root)}:{source.number})"
    words = f"{prescription.text}{where}"
    change = diff(source.path, source.text, after, root)
    line_changed = min(node.lineno for node, _ in changes)
    return Edit(str(source.path), line_changed, words, change)


def _today(line: Line, text: str) -> int:
    """The number that a line has in a file that may have been changed since.

    Raises:
        MovedError: it is not there, or in several places but not in its own.
    """
    if not line.text:
        return line.number
    lines = [each.strip() for each in re.split("\r\n|\r|\n", text)]
    wanted = line.text.strip()
    if line.number <= len(lines) and lines[line.number - 1] == wanted:
        return line.number
    if lines.count(wanted) != 1:
        raise MovedError
    return lines.index(wanted) + 1


def _short(file: str, root: Path) -> str:
    relative = os.path.relpath(file, root)
    return file if relative.startswith("..") else relative


def diff(path: Path, before: str, after: str, root: Path) -> str:
    """A unified diff that `git apply` takes in `root`."""
    name = os.path.relpath(path, root)
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    """With their ends; unlike `splitlines`, parted nowhere but there."""
    return re.findall("[^\n]*\n|[^\n]+", text)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
