"""`torchdx watch`: a run that goes on, in the terminal."""

from pathlib import Path

import click

from torchdx.record.following import newest
from torchdx.record.index import FOLDER, fitting, runs
from torchdx.report.stopping import until_stopped
from torchdx.report.watching import Find
from torchdx.report.watching import watch as shown


@click.command("watch")
@click.argument("run", required=False)
@click.option("-n", "--next", "upcoming", is_flag=True, help="Wait for a run that is yet to begin.")
def command(run: str | None, *, upcoming: bool) -> int:
    """Watch RUN in the terminal while it goes on, from another one or over ssh.

    RUN is a record or its name, and may be yet to come; without it, the newest that goes on. Shows
    the loss, validation, time, how far weights move, and findings as they are found; ends with the
    run and its summary, or with q. Only reads the record.
    """
    find, waiting = (_new(), _said(None)) if upcoming else (_find(run), _said(run))
    return until_stopped(lambda: shown(find, waiting))


def _find(run: str | None) -> Find:
    return newest if run is None else lambda: fitting(run)


def _new() -> Find:
    """The newest record, of those that are not there yet."""
    known = {(path, path.stat().st_ino) for path in runs()}

    def find() -> Path | None:
        return next((p for p in runs()[::-1] if (p, p.stat().st_ino) not in known), None)

    return find


def _said(run: str | None) -> str:
    if run is None:
        return f"waiting for a record in {FOLDER} (a run keeps one from its first backward pass)"
    last = ", ".join(path.stem for path in runs()[-3:])
    return f"waiting for the record {run}" + (f" (the last in {FOLDER}: {last})" if last else "")
