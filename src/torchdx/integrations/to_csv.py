"""CSV: a row a value, and beside it a file of findings."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from torchdx.integrations import findings
from torchdx.integrations.exporting import free, told
from torchdx.integrations.material import Material
from torchdx.record.units import unit_of

COLUMNS = ("run", "signal", "place", "unit", "step", "value")


def place(record: Path) -> Path:
    """Beside the record, under its name."""
    return record.with_suffix(".csv")


def write(material: Material, path: Path, *, force: bool) -> str:
    """`PATH.csv` and `PATH.findings.csv`; in the first, NaN and infinity are `nan` and `inf`."""
    beside = path.with_suffix(f".findings{path.suffix}")
    for file in (path, beside):
        free(file, force=force)
    units = {row.signal: unit_of(row.signal) for row in material.rows}
    values = (
        (material.name, row.signal, row.place, units[row.signal], row.step, row.value)
        for row in material.rows
    )
    found = findings.as_table(material.name, material.report)
    with told(path):
        _table(path, COLUMNS, values)
        _table(beside, findings.COLUMNS, (line.values() for line in found))
    return f"{path} and {beside.name}. Open it: pandas.read_csv({str(path)!r})"


def _table(path: Path, columns: Sequence[str], lines: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(lines)
