"""`torchdx report`: what was found in a run, as a page, a file for other programs, or as text."""

import json
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from torchdx.cli.opening import open_run
from torchdx.errors import CallError
from torchdx.record.following import newest
from torchdx.record.index import FOLDER, find
from torchdx.record.model import Record
from torchdx.report import terminal
from torchdx.report.findings import as_object
from torchdx.report.junit import as_junit
from torchdx.report.page import POLICY, comparing, page
from torchdx.report.view import View, view_of
from torchdx.report.view.curvature import curvature_in_words
from torchdx.rules.ranking import Diagnosis
from torchdx.trials.kept import in_words, trials_of

Run = tuple[Path, Record, Diagnosis]


def _as_json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {".json": _as_json, ".xml": as_junit}
PAGES = (".html", ".htm")


@click.command("report")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to: an .html page, or a .json or .xml (JUnit) file.",
)
@click.option("--text", is_flag=True, help="Print the findings here instead.")
@click.option("--no-source", is_flag=True, help="Leave the program's code out of the page.")
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@click.option("--serve", is_flag=True, help="Show the page on this machine while the run goes on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="For --serve; any by default."
)
def command(
    runs: tuple[str, ...],
    *,
    output: Path | None,
    text: bool,
    no_source: bool,
    no_open: bool,
    serve: bool,
    port: int,
) -> int:
    """Write a page of RUN (the last one by default) and open it.

    It is one file that loads nothing from anywhere. Several runs are put beside one another.

    \b
    torchdx report
    torchdx report RUN -o page.html --no-source
    torchdx report BEFORE AFTER
    torchdx report -o findings.json
    torchdx report --serve
    """  # noqa: D301  # the sign that click knows is no backslash
    if serve:
        return _serve(runs, source=not no_source, port=port, open_=not no_open)
    opened = [open_run(run) for run in runs or (None,)]
    if text:
        for path, record, diagnosis in opened:
            tried = [in_words(trial) for trial in trials_of(path)]
            curved = list(curvature_in_words(record))
            terminal.summary(record, diagnosis, path, stderr=False, tried=tried, curved=curved)
        return 0
    suffix = ".html" if output is None else output.suffix.lower()
    if suffix in FORMATS:
        return _to_file(opened, output or Path(), FORMATS[suffix])
    if suffix not in PAGES:
        known = ", ".join((".html", *FORMATS))
        msg = f"cannot write {output}: the name has to end in one of {known}, not in {suffix!r}."
        raise CallError(msg)
    views = [_view(run, source=not no_source) for run in opened]
    target = output or _beside(opened)
    _write(target, page(views[0]) if len(views) == 1 else comparing(views))
    found = sum(len(diagnosis.findings) for *_, diagnosis in opened)
    click.echo(f"wrote {terminal.shown(target)}: {found} finding(s)", err=True)
    if output is None and not no_open and _can_open():
        webbrowser.open(target.absolute().as_uri())
    return 0


def _serve(runs: tuple[str, ...], *, source: bool, port: int, open_: bool) -> int:
    """Show the page of one run, while it goes on and afterwards, until Ctrl-C."""
    from torchdx.report.live import Live  # noqa: PLC0415  # a server, only where one is asked for
    from torchdx.report.server import serve  # noqa: PLC0415

    if len(runs) > 1:
        msg = f"one run can be shown while it goes on, {len(runs)} were named."
        raise CallError(msg)
    path = find(runs[0]) if runs else newest() or find(None)
    live = Live(path, source=source, trials=trials_of)

    def ready(url: str) -> None:
        click.echo(f"{path.stem} is shown at {url} (Ctrl-C ends)", err=True)
        if open_ and _can_open():
            webbrowser.open(url)

    policy = POLICY.format(connect="'self'")
    return serve(live.make, version=live.version, ready=ready, policy=policy, port=port)


def _view(run: Run, *, source: bool) -> View:
    path, record, diagnosis = run
    return view_of(record, diagnosis, path, source=source, trials=trials_of(path))


def _beside(opened: list[Run]) -> Path:
    """Where a page goes that no place was named for."""
    if len(opened) == 1:
        return opened[0][0].with_suffix(".html")
    return Path(FOLDER) / "comparison.html"


def _to_file(opened: list[Run], output: Path, write: Callable[[dict[str, Any]], str]) -> int:
    if len(opened) > 1:
        msg = f"{output} can hold one run, {len(opened)} were named: write one file for each."
        raise CallError(msg)
    path, record, diagnosis = opened[0]
    _write(output, write(as_object(record, diagnosis, path, trials_of(path))))
    click.echo(f"wrote {output}: {len(diagnosis.findings)} finding(s)", err=True)
    return 0


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {target}: {error.strerror or error}."
        raise CallError(msg) from None


def _can_open() -> bool:
    """Whether a person with a desktop asks; not in pipes, on servers or over ssh."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform != "linux" or any(os.environ.get(name) for name in desktop)
