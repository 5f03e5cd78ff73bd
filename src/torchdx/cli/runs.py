"""`torchdx runs`: the records here."""

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from torchdx.errors import RecordError
from torchdx.record.index import FOLDER, runs
from torchdx.record.model import Record
from torchdx.record.reader import read

_WIDTH = 200  # columns where no terminal says how many it has


@click.command("runs")
def command() -> int:
    """List the records in .torchdx, the newest last."""
    found = runs()
    if not found:
        click.echo(
            f"no records in {Path(FOLDER).resolve()}. Make one: torchdx run SCRIPT.", err=True
        )
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in (
        ("run", "left"),
        ("began", "left"),
        ("steps", "right"),
        ("size", "right"),
    ):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("found", overflow="fold")
    for path in found:
        try:
            table.add_row(*_row(path, read(path)))
        except RecordError as error:
            table.add_row(path.stem, "", "", _size(path), str(error).partition(": ")[2])
    out = Console(highlight=False, emoji=False)
    out = out if out.is_terminal else Console(width=_WIDTH, highlight=False, emoji=False)
    out.print(table)
    return 0


def _row(path: Path, record: Record) -> tuple[str, ...]:
    began = record.meta.get("started")
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(began)) if began else ""
    codes = ", ".join(dict.fromkeys(str(f["code"]) for f in record.findings))
    ended = "" if record.end else " (did not end, or goes on)"
    return path.stem, when, str(record.steps), _size(path), (codes or "nothing") + ended


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1024:.0f} KiB"
