"""`torchdx dump`: the raw entries of a record."""

import json

import click

from torchdx.record.index import find
from torchdx.record.reader import read_entries


@click.command("dump")
@click.argument("run", required=False)
@click.option("-t", "--type", "kind", help="Only entries of this type (graph, look, event, ...).")
def command(run: str | None, kind: str | None) -> int:
    """Print the entries of RUN (the last one by default), one JSON object a line."""
    path = find(run)
    contents = read_entries(path)
    for entry in contents.entries:
        if kind is None or entry.get("e") == kind:
            click.echo(json.dumps(entry, ensure_ascii=False))
    torn = f", {contents.torn_bytes} torn bytes behind them" if contents.torn_bytes else ""
    frames = f"{len(contents.entries)} entries in {contents.frames} frames{torn}"
    click.echo(f"{path}: {frames}", err=True)
    return 0
