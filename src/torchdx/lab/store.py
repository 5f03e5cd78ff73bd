"""Rows on disk: `.torchdx/lab/<study>/<size>/seed-3.parquet`, and `seed-3.json` that tells of them.

The second file is written last: a seed is done when it is there, names the present version of the
study, and no error.
"""

import csv
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from torchdx import __version__
from torchdx.errors import CallError, RecordError
from torchdx.lab.rows import Rows, Value
from torchdx.lab.study import Size, Study
from torchdx.lab.version import version_of

FOLDER = Path(".torchdx") / "lab"
_NAMED = ("numpy", "torch", "scikit-learn")


@dataclass(frozen=True)
class Seed:
    """What is known of one seed that was run.

    version  of the study (`version_of`); `versions`: of what it was run with
    error    empty where it ended well; `trace`: where in the study it came from
    """

    study: str
    size: Size
    seed: int
    version: str
    rows: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    error: str = ""
    trace: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """All that is kept of a study in one size.

    stale  how many seeds are there of an older version, which are left out
    """

    rows: Rows
    done: list[Seed]
    failed: list[Seed]
    stale: int

    @property
    def cpu_s(self) -> float:
        """What the rows cost."""
        return sum(seed.cpu_s for seed in self.done)


def versions() -> dict[str, str]:
    """What rows are made with, for whoever wants to make them again."""
    found = {"torchdx": __version__, "python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found | {"machine": platform.machine()}


def place(folder: Path, study: Study, size: Size) -> Path:
    """Where the rows of a study go.

    Raises:
        CallError: nothing can be written there.
    """
    here = folder / study.name / size
    probe = here / f".writable-{os.getpid()}"
    try:
        here.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CallError(cannot_keep(here, error)) from None
    return here


def cannot_keep(here: Path, error: OSError) -> str:
    """The one message for a disk that is full, or a folder that is not ours."""
    return (
        f"cannot keep rows in {here}: {error.strerror or error}. Make room there, or name another "
        "folder with --folder; what is done stays, and the same command goes on from there."
    )


def keep(here: Path, told: Seed, rows: Rows | None) -> None:
    """Write a seed down: its rows, then what is to be known of it.

    Raises:
        OSError: it cannot be written.
    """
    stem = here / f"seed-{told.seed}"
    for suffix in (".json", ".parquet", ".csv"):
        stem.with_suffix(suffix).unlink(missing_ok=True)
    if rows is not None:
        _write(stem, rows)
    text = json.dumps(asdict(told), indent=1) + "\n"
    _replace(stem.with_suffix(".json"), text.encode())


def is_done(here: Path, seed: int, version: str) -> bool:
    """Whether a seed need not be run again."""
    told = told_of(here, seed)
    return told is not None and told.version == version and not told.error


def told_of(here: Path, seed: int) -> Seed | None:
    """What is known of a seed; None where it was not run, or that cannot be read."""
    return _told(here / f"seed-{seed}.json")


def load(folder: Path, study: Study, size: Size) -> Kept | None:
    """What is kept of a study in a size; None where there is nothing."""
    here = folder / study.name / size
    found = [told for path in here.glob("seed-*.json") if (told := _told(path))]
    if not found:
        return None
    version = version_of(study)
    own = sorted((t for t in found if t.version == version), key=lambda told: told.seed)
    done = [told for told in own if not told.error]
    rows = Rows.joined(_read(here / f"seed-{told.seed}") for told in done)
    return Kept(rows, done, [t for t in own if t.error], stale=len(found) - len(own))


def _told(path: Path) -> Seed | None:
    """None where nothing can be read: it is run again."""
    try:
        return Seed(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _replace(target: Path, data: bytes) -> None:
    """Whole or not at all."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _write(stem: Path, rows: Rows) -> None:
    """As Parquet where pyarrow is installed, else as CSV."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415  # optional
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        _write_csv(stem, rows)
        return
    table = pa.table({name: column.tolist() for name, column in rows.columns.items()})
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    _replace(stem.with_suffix(".parquet"), sink.getvalue().to_pybytes())


def _write_csv(stem: Path, rows: Rows) -> None:
    part = stem.with_suffix(".csv.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(rows.columns))
        out.writeheader()
        out.writerows(rows)
    part.replace(stem.with_suffix(".csv"))


def _read(stem: Path) -> Rows:
    """The rows of one seed.

    Raises:
        RecordError: they are gone or torn.
    """
    try:
        if (path := stem.with_suffix(".csv")).exists():
            with path.open(newline="", encoding="utf-8") as file:
                return Rows.of(
                    {n: _value(v) for n, v in row.items()} for row in csv.DictReader(file)
                )
        return _read_parquet(stem.with_suffix(".parquet"))
    except (OSError, ValueError) as error:
        msg = (
            f"cannot read the rows {stem}: {error}. Delete {stem.with_suffix('.json').name} "
            "beside them and run the study again."
        )
        raise RecordError(msg) from None


def _read_parquet(path: Path) -> Rows:
    try:
        from pyarrow import parquet  # noqa: PLC0415  # optional
    except ImportError:
        msg = f"{path} is a Parquet file: pip install 'torchdx[lab]' to read it."
        raise RecordError(msg) from None
    listed: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return Rows.of(listed)


def _value(text: str) -> Value:
    """What was written as a number is one again."""
    if text in {"True", "False"}:
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
