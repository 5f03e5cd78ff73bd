"""Finds records on disk: the last, by name or path, and a place for a new one."""

import os
import re
import time
from pathlib import Path

from torchdx.errors import RecordError
from torchdx.record.schema import MAGIC, SUFFIX

FOLDER = ".torchdx"


def new_path(name: str, *, folder: Path | None = None) -> Path:
    """Where the record of a run that starts now goes: `.torchdx/<name>-<date>-<time>-<pid>.dx`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(name).stem or name).strip("-") or "run"
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + f"-{int(now % 1 * 1000):03d}"
    return (folder or Path.cwd() / FOLDER) / f"{plain}-{stamp}-{os.getpid()}{SUFFIX}"


def shard_path(path: Path, rank: int) -> Path:
    """The file of one rank; that of rank 0 is the run's own."""
    return path if rank == 0 else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")


def runs(folder: Path | None = None) -> list[Path]:
    """The runs in a folder (`.torchdx` here), oldest first; shards of other ranks left out."""
    base = folder or Path(FOLDER)
    found = [p for p in base.glob(f"*{SUFFIX}") if not re.search(r"\.rank\d+$", p.stem)]
    found += [p for p in base.glob("*") if not p.suffix and _is_record(p)]  # named by --record
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _is_record(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:  # a folder
        return False


def shards(path: Path) -> list[Path]:
    """The files of the other ranks of a run, by rank."""
    found = path.parent.glob(f"{path.stem}.rank*{path.suffix}")
    return sorted(found, key=lambda p: int(p.stem.rpartition(".rank")[2]))


def find(run: str | None) -> Path:
    """The record that a command means: a path, a name in `.torchdx`, or the last run.

    Raises:
        RecordError: there is none, or several fit the name.
    """
    here = runs()
    if run is None:
        if not here:
            msg = f"no record in {Path(FOLDER).resolve()}. Make one: torchdx run SCRIPT."
            raise RecordError(msg)
        return here[-1]
    found = fitting(run)
    if found is None:
        known = ", ".join(path.stem for path in here[-3:]) or "none"
        msg = f"no run is called {run!r} (the last here: {known}). `torchdx runs` lists them."
        raise RecordError(msg)
    return found


def fitting(run: str) -> Path | None:
    """The record at a path, or of a name or a path in `.torchdx`; None when there is none.

    The suffix may be left out.

    Raises:
        RecordError: several fit the name.
    """
    plain = run.removesuffix(SUFFIX)
    places = [Path(base, name) for base in ("", FOLDER) for name in (run, plain + SUFFIX, plain)]
    exact = next((place for place in places if place.is_file()), None)
    if exact is not None:
        return exact
    found = [path for path in runs() if path.stem.startswith(plain)]
    if len(found) > 1:
        names = ", ".join(path.stem for path in found[-3:])
        msg = f"{run!r} fits {len(found)} runs ({names}): give more of the name."
        raise RecordError(msg)
    return found[0] if found else None
