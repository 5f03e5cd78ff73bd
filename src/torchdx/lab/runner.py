"""Runs the seeds of studies, each in a fresh process with one thread, and keeps their rows.

Seeds go through joblib: on this machine by default, on a Dask or Ray cluster inside
`joblib.parallel_config(backend=...)`, where the folder of the rows must be seen by all. A seed that
is done is not run again, so that an interrupted run goes on where it ended; one of an older version
of its study is.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib  # type: ignore[import-untyped]  # it ships no types

from torchdx.errors import CallError
from torchdx.lab.store import FOLDER, Seed, cannot_keep, is_done, keep, place, told_of, versions
from torchdx.lab.study import Size, find_study
from torchdx.lab.version import version_of

UNWRITABLE = 74  # of torchdx.lab.worker
TAIL = 300  # characters of a dead process's last words
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass(frozen=True)
class Progress:
    """One seed has ended.

    done, of  seeds of this call; `left_s`: about how long the rest takes
    """

    study: str
    seed: int
    error: str
    wall_s: float
    done: int
    of: int
    left_s: float


@dataclass(frozen=True)
class Task:
    """One seed that is to be run; `name` finds its study again in another process."""

    name: str
    study: str
    size: Size
    seed: int
    here: str
    version: str


def run(  # noqa: PLR0913  # what a person may set
    names: Sequence[str],
    *,
    size: Size = "quick",
    seeds: int | None = None,
    jobs: int | None = None,
    folder: Path = FOLDER,
    told: Callable[[Progress], None] = lambda _: None,
) -> int:
    """Run what is not done yet of some studies; returns how many seeds were run.

    run(["init-moments"], seeds=10)

    Args:
        names: of studies, or files that hold one each.
        size: quick (two cores, minutes) or full (as the source did it, as far as it goes).
        seeds: how many; by default as many as each study asks for.
        jobs: processes at once; by default what joblib's configuration says.
        folder: where rows are kept.
        told: is called whenever a seed has ended.

    Raises:
        CallError: a study is unknown, or rows cannot be kept.
    """
    tasks = [task for name in names for task in _open(name, size, seeds, folder.absolute())]
    calls = (joblib.delayed(run_task)(task) for task in tasks)
    ended = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(calls)
    began = time.monotonic()
    for count, (task, error, wall) in enumerate(ended, 1):
        left = (time.monotonic() - began) / count * (len(tasks) - count)
        told(Progress(task.study, task.seed, error, wall, count, len(tasks), left))
    return len(tasks)


def _open(name: str, size: Size, seeds: int | None, folder: Path) -> list[Task]:
    """The seeds of a study that are not done."""
    study = find_study(name)
    here, version = place(folder, study, size), version_of(study)
    named = str(Path(name).absolute()) if name.endswith(".py") else name
    wanted = range(study.seeds[size] if seeds is None else seeds)
    return [
        Task(named, study.name, size, seed, str(here), version)
        for seed in wanted
        if not is_done(here, seed, version)
    ]


def run_task(task: Task) -> tuple[Task, str, float]:
    """Run one seed in a process of its own; with it come its error and how long it took."""
    began = time.monotonic()
    call = [sys.executable, "-m", "torchdx.lab.worker", task.name, task.size, str(task.seed)]
    ended = subprocess.run(  # noqa: S603  # our own program
        [*call, task.here],
        env=os.environ | _ONE_THREAD,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    last = ended.stderr.strip().rpartition("\n")[2]
    here = Path(task.here)
    if ended.returncode == UNWRITABLE:
        raise CallError(cannot_keep(here, OSError(0, last)))
    wall = time.monotonic() - began
    return task, _error(task, here, ended.returncode, last, wall), wall


def _error(task: Task, here: Path, status: int, last: str, wall: float) -> str:
    """What went wrong with a seed, empty where nothing did; a process that died is written down."""
    told = told_of(here, task.seed)
    if status == 0 and told is not None:
        return told.error
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    error = f"its process {how}: {last[-TAIL:] or 'out of memory, perhaps'}"
    seed = Seed(
        task.study,
        task.size,
        task.seed,
        task.version,
        wall_s=wall,
        error=error,
        versions=versions(),
    )
    try:
        keep(here, seed, None)
    except OSError as unwritable:
        raise CallError(cannot_keep(here, unwritable)) from None
    return error
