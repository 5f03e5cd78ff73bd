"""Parquet, by pyarrow: a row a value, and beside it a file of findings."""

from pathlib import Path

from torchdx.integrations import findings
from torchdx.integrations.exporting import free, needed, told
from torchdx.integrations.material import Material
from torchdx.record.units import unit_of


def place(record: Path) -> Path:
    """Beside the record, under its name."""
    return record.with_suffix(".parquet")


def write(material: Material, path: Path, *, force: bool) -> str:
    """`PATH.parquet` and `PATH.findings.parquet`."""
    pa = needed("parquet", "pyarrow", "pyarrow")
    parquet = needed("parquet", "pyarrow.parquet", "pyarrow")
    beside = path.with_suffix(f".findings{path.suffix}")
    for file in (path, beside):
        free(file, force=force)
    signals, places, steps, values = zip(*material.rows, strict=True) if material.rows else [()] * 4
    words = pa.dictionary(pa.int32(), pa.string())
    columns = {
        "run": pa.array([material.name] * len(steps), words),
        "signal": pa.array(signals, words),
        "place": pa.array(places, words),
        "unit": pa.array(map(unit_of, signals), words),
        "step": pa.array(steps, pa.int64()),
        "value": pa.array(values, pa.float64()),
    }
    kinds = {"rank": pa.int64(), "line": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in findings.COLUMNS])
    found = findings.as_table(material.name, material.report)
    with told(path):
        parquet.write_table(pa.table(columns), path)
        parquet.write_table(pa.Table.from_pylist(found, schema), beside)
    return f"{path} and {beside.name}. Open it: pandas.read_parquet({str(path)!r})"
