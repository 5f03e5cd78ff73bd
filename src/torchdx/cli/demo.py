"""`torchdx demo`: a sick program on real data, under observation."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from torchdx import demo

_FILES = ("train.py", "digits.npz")


@click.command("demo")
def command() -> int:
    """Train a classifier of handwritten digits that does not learn as it should, and see why."""
    folder = Path(tempfile.mkdtemp(prefix="torchdx-demo-"))
    source = Path(demo.__file__).parent
    for name in _FILES:
        shutil.copy(source / name, folder / name)
    script = folder / "train.py"
    click.echo(f"$ torchdx run {script}\n", err=True)
    call = [sys.executable, "-m", "torchdx", "run", str(script)]
    status = subprocess.run(call, check=False).returncode  # noqa: S603  # ourselves
    click.echo(f"The program is in {script}: mend it, and run it again.", err=True)
    return status
