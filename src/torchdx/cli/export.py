"""`torchdx export`: a record for tools that other people keep."""

from pathlib import Path

import click

from torchdx.cli.opening import open_run
from torchdx.errors import CallError, RecordError
from torchdx.integrations import TARGETS, exporter
from torchdx.integrations.material import Material


@click.command("export")
@click.argument("run", required=False)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(TARGETS), required=True, help="What it is written for.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The same as PATH.")
@click.option("-f", "--force", is_flag=True, help="Replace an earlier export.")
def command(
    run: str | None, path: Path | None, to: str, output: Path | None, *, force: bool
) -> int:
    """Write RUN (the last one by default) for another tool.

    Everything is written to PATH on this machine, by default beside the record.

    \b
    torchdx export --to tensorboard
    torchdx export train-20260101 --to csv table.csv
    torchdx export --to parquet -o table.parquet
    """  # noqa: D301  # the sign that click knows is no backslash
    if path is not None and output is not None:
        msg = f"asked to write to {path} and to {output}: name one."
        raise CallError(msg)
    try:
        found, record, diagnosis = open_run(run)
    except RecordError as error:
        if run is None or path or output:
            raise
        msg = f"{error} To write the last run to {run}, say: torchdx export --to {to} -o {run}"
        raise RecordError(msg) from None
    material = Material(found, record, diagnosis)
    tool = exporter(to)
    where = path or output or tool.place(found)
    opened = tool.write(material, where, force=force)
    click.echo(f"wrote {_amount(material)} to {opened}", err=True)
    return 0


def _amount(material: Material) -> str:
    """How much there was, and why it is not more."""
    rows, found = material.rows, len(material.report["findings"])
    series = len({(row.signal, row.place) for row in rows})
    text = f"{len(rows):,} values of {series:,} series and {found} finding(s)"
    if material.record.torn_bytes:
        text += f" (the record is torn: {material.record.torn_bytes} bytes at its end are lost)"
    elif not material.record.trained:
        text += " (no training was seen)"
    return text
