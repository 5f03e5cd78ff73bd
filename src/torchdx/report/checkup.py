"""A checkup as a table: questions by group, each with its outcome."""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Bar
from rich.table import Table
from rich.text import Text

from torchdx.report import terminal
from torchdx.rules.base import Finding

Outcome = Literal["pass", "finding", "unclear"]

_COLOURS = {"pass": "green", "finding": "red", "unclear": "yellow"}
_MARKS = {"pass": "✓", "finding": "✗", "unclear": "?"}


@dataclass(frozen=True)
class Row:
    """One question and how it came out.

    group     what is asked about: inputs, labels, loss, ...
    text      the numbers behind the outcome, or why it is unclear
    findings  of the rules that were asked
    """

    group: str
    question: str
    outcome: Outcome
    text: str = ""
    findings: tuple[Finding, ...] = ()


def show(rows: Sequence[Row], seconds: float) -> None:
    """Print the table on stdout."""
    out = terminal.console(stderr=False)
    for part in _parts(rows, seconds):
        out.print(part)


def as_text(rows: Sequence[Row], seconds: float) -> str:
    """The table as plain text."""
    out = Console(file=io.StringIO(), width=terminal.WIDTH, highlight=False, color_system=None)
    with out.capture() as captured:
        for part in _parts(rows, seconds):
            out.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def as_html(rows: Sequence[Row], seconds: float) -> str:
    """The table for a notebook."""
    lines = [
        f"<tr><td>{html.escape(row.group)}</td><td>{html.escape(row.question)}</td>"
        f"<td>{_MARKS[row.outcome]} {row.outcome}</td><td>{html.escape(row.text)}</td></tr>"
        for row in rows
    ]
    head = "<tr><th>about</th><th>question</th><th></th><th></th></tr>"
    return f"<table>{head}{''.join(lines)}</table><p>{html.escape(_counts(rows, seconds))}</p>"


def _parts(rows: Sequence[Row], seconds: float) -> list[RenderableType]:
    title = Text.assemble(("torchdx checkup ", "bold magenta"), f"{len(rows)} questions")
    parts: list[RenderableType] = ["", Bar(title, style="magenta", align="left")]
    parts += [_table(rows), Padding(Text(_counts(rows, seconds), style="bold"), (0, 2)), ""]
    return parts


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for group, asked in groupby(rows, key=lambda row: row.group):
        for index, row in enumerate(asked):
            mark = Text(f"{_MARKS[row.outcome]} ", style=f"bold {_COLOURS[row.outcome]}")
            question = Text(row.question, style="" if row.outcome == "pass" else "bold")
            table.add_row("" if index else group, Text.assemble(mark, question), _answer(row))
    return table


def _answer(row: Row) -> Text:
    if row.outcome != "finding":
        return Text(row.text, style="dim")
    told = Text(row.text)
    for finding in row.findings:
        where = f" {terminal.place_of(finding.line)}" if finding.line else ""
        told.append(f"{' ' if told else ''}{finding.code}{where}", style="bold")
    return told


def _counts(rows: Sequence[Row], seconds: float) -> str:
    found, unclear = (sum(r.outcome == o for r in rows) for o in ("finding", "unclear"))
    said = f"{len(rows) - found - unclear} passed, {found} found, {unclear} unclear"
    return f"{said}  ({seconds:.1f} s)"
