"""`torchdx rules`: the table of all diagnoses."""

import click
from rich.console import Console
from rich.table import Table

from torchdx.rules.base import all_rules

_WIDTH = 100


@click.command("rules")
def command() -> int:
    """List every rule: code, name and what it says in a line."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("code", style="bold", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what is wrong")
    for rule in all_rules():
        table.add_row(rule.code, rule.name, rule.title.rstrip("."))
    out = Console(highlight=False, emoji=False)
    out = out if out.is_terminal else Console(width=_WIDTH, highlight=False, emoji=False)
    out.print(table)
    click.echo(
        f"{len(all_rules())} rules; `torchdx explain CODE` prints the page of one.", err=True
    )
    return 0
