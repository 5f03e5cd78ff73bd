"""Opens the run that a command means, and judges it with the rules of today."""

from pathlib import Path

from torchdx.record.index import find
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.rules.ranking import Diagnosis, diagnose


def open_run(run: str | None) -> tuple[Path, Record, Diagnosis]:
    """Its path, its record and what the rules say of it.

    Raises:
        RecordError: there is no such run, or its record cannot be read.
    """
    path = find(run)
    record = read(path)
    return path, record, diagnose(record)
