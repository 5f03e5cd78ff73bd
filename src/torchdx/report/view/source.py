"""The lines of the program around one, from its file if it still says what it said then."""

from pathlib import Path
from typing import TypedDict

from torchdx.graph.model import Line

AROUND = 3  # lines before and behind


class Code(TypedDict):
    """A place in the program.

    file   as short as it can be told; `line` its number
    lines  (number, text) around it, or of it alone where the file has changed; empty without source
    """

    file: str
    line: int
    function: str
    lines: list[tuple[int, str]]


def code_of(line: Line | None, home: str, *, source: bool) -> Code | None:
    """The code around a line; `home` is the folder that file names are told from."""
    if line is None:
        return None
    lines = _around(line) if source else []
    return Code(file=_shown(line.file, home), line=line.number, function=line.function, lines=lines)


def _around(line: Line) -> list[tuple[int, str]]:
    known = [(line.number, line.text)] if line.text else []
    try:
        text = Path(line.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return known
    if len(text) < line.number or text[line.number - 1].strip() != line.text.strip():
        return known
    first = max(1, line.number - AROUND)
    return [(n, text[n - 1]) for n in range(first, min(len(text), line.number + AROUND) + 1)]


def _shown(file: str, home: str) -> str:
    try:
        return str(Path(file).relative_to(home)) if home else Path(file).name
    except ValueError:
        return file
