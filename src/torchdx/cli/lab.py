"""`torchdx lab`: published findings run again, and the ledger of how they fared."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.table import Table
from rich.text import Text

from torchdx.cli.figure import drawn
from torchdx.errors import CallError
from torchdx.report import terminal
from torchdx.report.page.words import duration

if TYPE_CHECKING:
    from torchdx.lab.runner import Progress
    from torchdx.lab.study import Size, Study

FOLDER = Path(".torchdx") / "lab"
WIDTH = 680  # of a figure beside the Markdown
_FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), default=FOLDER, help="Where rows are kept."
)
_COLOURS = {"reproduced": "green", "null": "green", "not reproduced": "red", "not null": "red"}


@click.group("lab")
def command() -> None:
    """Run published findings again: studies, their claims, the ledger."""


@command.command("list")
def list_() -> int:
    """Tell which studies there are, and what they claim."""
    for study in _studies(()):
        click.echo(f"{study.name:20} {study.title}")
        for claim in study.claims:
            kind = "control: " if claim.control else ""
            click.echo(f"{'':20}   {kind}{claim.sentence}")
    return 0


@command.command("run")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "all_", is_flag=True, help="Every study.")
@click.option("--size", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), help="As many as each study asks for.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes at once; as many as cores.")
@_FOLDER
def run(  # noqa: PLR0913  # an option, a parameter
    names: tuple[str, ...],
    *,
    all_: bool,
    size: str,
    seeds: int | None,
    jobs: int | None,
    folder: Path,
) -> int:
    """Run studies by NAME, or a .py file that holds one, and judge their claims.

    What is done already is not run again: after an interruption the same command goes on.

    \b
    torchdx lab run init-moments
    torchdx lab run --all --size quick
    torchdx lab run my_study.py --seeds 10 --jobs 4
    """  # noqa: D301  # the sign that click knows is no backslash
    if all_ == bool(names):
        msg = "name studies, or say --all: torchdx lab list tells which there are."
        raise CallError(msg)
    _need()
    import joblib  # type: ignore[import-untyped]  # noqa: PLC0415  # slow

    from torchdx.lab import runner  # noqa: PLC0415
    from torchdx.lab.study import find_study, study_names  # noqa: PLC0415

    wanted = list(dict.fromkeys(names)) or study_names()
    studies = [find_study(name) for name in wanted]
    try:
        runner.run(
            wanted,
            size=cast("Size", size),
            seeds=seeds,
            jobs=jobs or joblib.cpu_count(),
            folder=folder,
            told=_tell,
        )
    except KeyboardInterrupt:
        click.echo("\nstopped; what is done is kept: the same command goes on.", err=True)
        return 130
    told = [t for t in _told(studies, folder) if t["size"] == size]
    for each in told:
        _show(each)
    terminal.console(stderr=False).print(Text("next: torchdx lab report", style="dim"))
    return 0


@command.command("report")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    multiple=True,
    help="An .html page or an .md document (its figures go beside it); can be said twice.",
)
@_FOLDER
def report(names: tuple[str, ...], *, output: tuple[Path, ...], folder: Path) -> int:
    """Write the ledger: every claim, published and ours, with its interval and verdict.

    Of all studies that there are rows of, or of those by NAME.

    \b
    torchdx lab report
    torchdx lab report -o docs/ledger.md -o ledger.html
    """  # noqa: D301
    _need()
    from torchdx.lab import ledger  # noqa: PLC0415
    from torchdx.report.page.ledger import page  # noqa: PLC0415

    targets = output or (folder / "ledger.html",)
    for target in targets:
        if target.suffix.lower() not in {".html", ".htm", ".md"}:
            msg = f"cannot write {target}: the name has to end in .html or .md."
            raise CallError(msg)
    found = list(ledger.entries(_studies(names), folder))
    if not found:
        msg = f"there are no rows in {folder}: run a study first (torchdx lab run --all)."
        raise CallError(msg)
    told = [ledger.as_object(entry) for entry in found]
    figures = {f"{e.study.name}-{e.size}": e.figure for e in found if e.figure}
    for target in targets:
        if target.suffix.lower() == ".md":
            pictures = {key: _picture(key, figure, target) for key, figure in figures.items()}
            _write(target, ledger.as_markdown(told, pictures).encode())
        else:
            _write(target, page(told, figures, ledger.counted(told)).encode())
        click.echo(f"wrote {terminal.shown(target)}: {ledger.counted(told)}", err=True)
    return 0


def _studies(names: Sequence[str]) -> list["Study"]:
    """By name; all that come with torchdx where none is named."""
    from torchdx.lab.study import find_study, study_names  # noqa: PLC0415  # torch

    return [find_study(name) for name in dict.fromkeys(names) or study_names()]


def _told(studies: Iterable["Study"], folder: Path) -> list[dict[str, Any]]:
    from torchdx.lab import ledger  # noqa: PLC0415

    return [ledger.as_object(entry) for entry in ledger.entries(studies, folder)]


def _need() -> None:
    """One message where what the laboratory is built on is not installed."""
    try:
        import scipy.special  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        import sklearn  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    except ImportError as error:
        msg = f"the laboratory needs {error.name}: pip install 'torchdx[lab]'."
        raise CallError(msg) from None


def _tell(progress: "Progress") -> None:
    """One line a seed."""
    left = f" · about {duration(progress.left_s)} left" if progress.done < progress.of else ""
    how = f"failed: {progress.error}" if progress.error else f"done in {duration(progress.wall_s)}"
    said = f"{progress.study}  seed {progress.seed} {how} · {progress.done} of {progress.of}{left}"
    click.echo(said, err=True)


def _show(study: dict[str, Any]) -> None:
    from torchdx.lab.ledger import remarks  # noqa: PLC0415

    out = terminal.console(stderr=False)
    out.print()
    out.print(Text.assemble((study["name"], "bold"), f" ({study['size']})  {study['title']}"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for title in ("published", "ours", "95 % interval"):
        table.add_column(title, justify="right", no_wrap=title != "95 % interval")
    for claim in study["claims"]:
        colour = _COLOURS.get(claim["verdict"], "yellow")
        sentence = ("control: " if claim["control"] else "") + claim["sentence"]
        cells = (claim["published"], claim["ours"], claim["interval"])
        table.add_row(Text(claim["verdict"], style=colour), Text(sentence), *cells)
    out.print(table)
    for remark in remarks(study):
        out.print(Text(remark, style="dim"))


def _picture(key: str, figure: Any, target: Path) -> str:
    """Draw a figure beside the document; where it lies, seen from there."""
    folder = target.with_suffix("")
    _write(folder / f"{key}.svg", drawn(figure, ".svg", WIDTH, dark=False))
    return f"{folder.name}/{key}.svg"


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    except OSError as error:
        msg = f"cannot write {target}: {error.strerror or error}."
        raise CallError(msg) from None
