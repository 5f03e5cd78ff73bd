"""`torchdx explain`: the page of a rule."""

import sys

import click
from rich.console import Console
from rich.markdown import Markdown

from torchdx.rules.base import find_rule

_WIDTH = 100


@click.command("explain")
@click.argument("code")
def command(code: str) -> int:
    """Print the page of the rule CODE (L09, or its name): what it sees, why, and what to try."""
    rule = find_rule(code)
    title, _, body = rule.page.partition("\n")
    if sys.stdout.isatty():
        out = Console(width=min(_WIDTH, Console().width), emoji=False)
        out.print(Markdown(f"# {title}\n{body}"))
    else:
        click.echo(f"{title}\n{body.rstrip()}")
    return 0
