"""`torchdx report`: what was found in a run, on the terminal or as a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from torchdx.cli.opening import open_run
from torchdx.errors import CallError
from torchdx.report import terminal
from torchdx.report.findings import as_object
from torchdx.report.junit import as_junit


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {".json": _as_json, ".xml": as_junit}


@click.command("report")
@click.argument("run", required=False)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A .json or .xml (JUnit) file."
)
def command(run: str | None, output: Path | None) -> int:
    """Show what was found in RUN (the last one by default), or write it to a file."""
    path, record, diagnosis = open_run(run)
    if output is None:
        terminal.summary(record, diagnosis, path, stderr=False)
        return 0
    write = FORMATS.get(output.suffix.lower())
    if write is None:
        known = " or ".join(FORMATS)
        msg = f"cannot write {output}: the name has to end in {known}, not {output.suffix!r}."
        raise CallError(msg)
    try:
        output.write_text(write(as_object(record, diagnosis, path)), encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {output}: {error.strerror or error}."
        raise CallError(msg) from None
    click.echo(f"wrote {output}: {len(diagnosis.findings)} finding(s)", err=True)
    return 0
