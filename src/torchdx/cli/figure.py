"""`torchdx figure`: one chart of a run as a file for a paper."""

from pathlib import Path
from typing import Any

import click

from torchdx.cli.opening import open_run
from torchdx.errors import CallError
from torchdx.report.charts import figures_of
from torchdx.report.charts.base import Figure, expanded
from torchdx.report.charts.theme import config
from torchdx.report.view import view_of
from torchdx.report.view.signals import OF_LAYERS

FORMATS = (".svg", ".png", ".pdf")
DENSE = 3.0  # dots a pixel in a PNG


@click.command("figure")
@click.argument("names", nargs=-1, metavar="[RUN] [NAME]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="An .svg, .png or .pdf file.")
@click.option("--signal", default="", help="What depth-time shows: activation.std, unit.dead, ...")
@click.option("--width", type=click.IntRange(min=100), default=480, show_default=True)
@click.option("--dark", is_flag=True, help="For dark paper.")
def command(
    names: tuple[str, ...], *, output: Path | None, signal: str, width: int, dark: bool
) -> int:
    """Draw the chart NAME of RUN (the last one by default); without a NAME, list the charts.

    \b
    torchdx figure
    torchdx figure gradient-flow -o flow.svg
    torchdx figure RUN depth-time --signal unit.dead -o dead.pdf
    """  # noqa: D301  # the sign that click knows is no backslash
    if signal and signal not in OF_LAYERS:
        msg = f"no signal is called {signal!r}. There are: {', '.join(OF_LAYERS)}."
        raise CallError(msg)
    run, name = _meant(names)
    path, record, diagnosis = open_run(run)
    figures = figures_of(view_of(record, diagnosis, path), signal)
    if not name:
        _list(figures, path)
        return 0
    if name not in figures:
        listed = ", ".join(figures) or "none"
        msg = f"there is no {name} of {path.stem}: what can be drawn of it is {listed}."
        raise CallError(msg)
    output = output or Path(f"{name}.svg")
    _write(output, drawn(figures[name], output.suffix.lower(), width, dark=dark))
    click.echo(f"wrote {output}: {figures[name].says}", err=True)
    return 0


def _meant(names: tuple[str, ...]) -> tuple[str | None, str]:
    """The run and the figure that one or two words name.

    Raises:
        CallError: there are more.
    """
    if len(names) > 2:  # noqa: PLR2004  # a run and a name
        msg = f"one run and one figure can be named, not {len(names)}: torchdx figure RUN NAME."
        raise CallError(msg)
    if len(names) == 2:  # noqa: PLR2004
        return names[0], names[1]
    return None, names[0] if names else ""


def _list(figures: dict[str, Figure], path: Path) -> None:
    if not figures:
        click.echo(f"nothing can be drawn of {path.stem}: nothing was measured in it.")
    for figure in figures.values():
        click.echo(f"{figure.name:22} {figure.says}")


def drawn(figure: Figure, suffix: str, width: int, *, dark: bool) -> bytes:
    """The file's bytes.

    Raises:
        CallError: the suffix is not known, or what draws is not installed.
    """
    if suffix not in FORMATS:
        msg = f"the file's name has to end in one of {', '.join(FORMATS)}, not in {suffix!r}."
        raise CallError(msg)
    try:
        import vl_convert  # noqa: PLC0415  # only where something is drawn
    except ImportError:
        msg = "figures are drawn by vl-convert: pip install 'torchdx[figures]'."
        raise CallError(msg) from None
    theme = config("dark" if dark else "light")
    theme |= {"background": "#0d1117" if dark else "white", "padding": 8}
    spec: dict[str, Any] = {**expanded(figure.chart, width), "config": theme}
    if suffix == ".svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    if suffix == ".png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=DENSE))
    return bytes(vl_convert.vegalite_to_pdf(spec))


def _write(target: Path, data: bytes) -> None:
    try:
        target.write_bytes(data)
    except OSError as error:
        msg = f"cannot write {target}: {error.strerror or error}."
        raise CallError(msg) from None
