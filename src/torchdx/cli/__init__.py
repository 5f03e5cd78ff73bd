"""The command line: one file a command, imported when it is called."""

import importlib
import keyword
import signal
import sys
from typing import NoReturn

import click

from torchdx import __version__
from torchdx.boot import program
from torchdx.errors import TorchdxError

COMMANDS = (
    "run",
    "watch",
    "try",
    "checkup",
    "curvature",
    "report",
    "figure",
    "check",
    "explain",
    "rules",
    "runs",
    "dump",
    "export",
    "lab",
    "demo",
)


class _Commands(click.Group):
    """Finds a command in the file of its name; its docstring is its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        file = cmd_name + "_" * keyword.iskeyword(cmd_name)
        found: click.Command = importlib.import_module(f"torchdx.cli.{file}").command
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="torchdx %(version)s")
def torchdx() -> None:
    """Find out why a neural network does not learn, and see the evidence."""


def main() -> NoReturn:
    """Run one command; exit status 2 means that the call could not be carried out."""
    try:
        status = torchdx.main(prog_name="torchdx", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except TorchdxError as error:
        click.echo(f"torchdx: {error}", err=True)
        sys.exit(2)
    if status == -signal.SIGINT:
        program.end_by_interrupt()
    sys.exit(status or 0)
