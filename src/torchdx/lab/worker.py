"""Runs one seed of a study in a process of its own: `python -m torchdx.lab.worker NAME SIZE SEED`.

One thread, and nothing of any other seed. It ends with 0 when the seed is written down, be it with
an error of the study, and with `UNWRITABLE` when it cannot be.
"""

import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import cast

import torch

from torchdx.boot.nursery import Nursery
from torchdx.errors import TorchdxError
from torchdx.lab.rows import Rows
from torchdx.lab.store import Seed, keep, versions
from torchdx.lab.study import Size, Study, find_study
from torchdx.lab.version import version_of

UNWRITABLE = 74  # as in sysexits.h


def main() -> int:
    """Run the seed that the arguments name."""
    name, size, seed, folder = sys.argv[1:]
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)
    study = find_study(name)
    told, rows = run_seed(study, cast("Size", size), int(seed))
    try:
        keep(Path(folder), told, rows)
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)  # noqa: T201  # the runner reads it
        return UNWRITABLE
    return 0


def run_seed(study: Study, size: Size, seed: int) -> tuple[Seed, Rows | None]:
    """One seed, here and now; what a study raises is told, not raised."""
    version = version_of(study)
    began, cpu = time.perf_counter(), _cpu_s()
    rows, error, trace = None, "", ""
    try:
        rows = Rows.of({"seed": seed, **row} for row in study.run(size, seed))
    except TorchdxError as refused:
        error = str(refused)
    except Exception as raised:  # noqa: BLE001  # whatever a study does, the others go on
        trace = traceback.format_exc()
        last = traceback.extract_tb(raised.__traceback__)[-1]
        error = f"{type(raised).__name__}: {raised} ({Path(last.filename).name}:{last.lineno})"
    Nursery.close_all()  # what scripts of a study cost is known once their processes have ended
    told = Seed(
        study=study.name,
        size=size,
        seed=seed,
        version=version,
        rows=len(rows) if rows is not None else 0,
        cpu_s=round(_cpu_s() - cpu, 2),
        wall_s=round(time.perf_counter() - began, 2),
        error=error or ("" if rows is not None and len(rows) else "it yielded no rows"),
        trace=trace,
        versions=versions(),
    )
    return told, rows


def _cpu_s() -> float:
    """Of this process, and of those that it began and that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    sys.exit(main())
