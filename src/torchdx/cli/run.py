"""`torchdx run`: an unchanged script is observed."""

import contextlib
import os
import signal
from pathlib import Path

import click

from torchdx.boot import program
from torchdx.boot.session import Options, Session, environment
from torchdx.errors import CallError
from torchdx.record.index import new_path, shards

_SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("run", context_settings=_SETTINGS)
@click.option("-m", "module", is_flag=True, help="The program is a module, as for python -m.")
@click.option("--record", type=click.Path(path_type=Path), help="Where the record goes.")
@click.option("-f", "--force", is_flag=True, help="Replace the record that --record names.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the record is kept.")
@click.option("--no-eager", is_flag=True, help="Never run a compiled program's step eagerly.")
@click.option(
    "--budget",
    default="2%",
    show_default=True,
    callback=lambda _context, _option, text: share(text),
    help="Share of the program's time that measuring may take, beyond the first 20 steps.",
)
@click.option(
    "--curvature",
    "curved",
    default="",
    metavar="every=N",
    callback=lambda _context, _option, text: _every(text),
    help="Measure curvature about every N steps, and draw it; within a percent of the time.",
)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM ...")
def command(
    arguments: tuple[str, ...],
    *,
    module: bool,
    record: Path | None,
    force: bool,
    quiet: bool,
    no_eager: bool,
    budget: float,
    curved: int,
) -> int:
    """Run a script or module under observation.

    Torchdx's own options stand before PROGRAM; all that follows is the program's. Its output, exit
    status and results are as without torchdx.

    \b
    torchdx run train.py --epochs 5
    torchdx run -m package.train
    torchdx run --curvature every=200 train.py
    torchrun --nproc-per-node 2 -m torchdx run train.py
    """  # noqa: D301  # the sign that click knows is no backslash
    if arguments[0].startswith("-") and not module:
        msg = f"no such option: {arguments[0]}. `torchdx run --help` lists them."
        raise CallError(msg)
    told = program.parse(arguments, module=module)
    path = _path_for(told.name).absolute() if record is None else _free(record, force=force)
    options = Options(quiet=quiet, eager=not no_eager, budget=budget, curved=curved)
    facts = {"argv": list(arguments), "module": module, "folder": told.folder}
    os.environ.update(environment(path, options))
    session = Session(path, options, facts)
    session.begin()
    try:
        status = program.run(told)
    except CallError:
        session.cancel()
        raise
    except KeyboardInterrupt:
        status = -signal.SIGINT
    session.ended_with(status)
    return status


def share(text: str) -> float:
    """`2%` or `0.02` as 0.02."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        msg = f"--budget {text}: not a share. Say 2% or 0.02, between 0% and 100%."
        raise CallError(msg)
    return share


def _every(text: str) -> int:
    """`every=200` as 200; 0 for nothing."""
    number = text.strip().removeprefix("every=")
    if not text:
        return 0
    if not number.isdecimal() or not int(number):
        msg = f"--curvature {text}: not a number of steps. Say every=200."
        raise CallError(msg)
    return int(number)


def _free(record: Path, *, force: bool) -> Path:
    """The path of a record that was asked for; nothing may stand there but what may go."""
    if os.environ.get("RANK", "0") != "0":
        return record.absolute()
    for path in (record, *shards(record)):
        if path.is_dir():
            msg = f"cannot write the record {path}: it is a folder. Name a file in it."
            raise CallError(msg)
        if path.exists() and not force:
            msg = f"there is a record {path} already. Name another, or replace it: --force."
            raise CallError(msg)
        with contextlib.suppress(OSError):  # the writer will say why, once
            path.unlink()
    return record.absolute()


def _path_for(name: str) -> Path:
    """A new record; ranks that one agent started share it."""
    agent = os.environ.get("TORCHELASTIC_RUN_ID")
    if agent is None:
        return new_path(name)
    return new_path(name).with_stem(f"{name}-torchrun-{os.getppid()}")
