"""CSV and Parquet."""

import csv
import math

import pytest

from tests.integrations.records import ODD
from torchdx.errors import CallError
from torchdx.integrations import to_csv, to_parquet


def lines(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_holds_a_line_a_value_with_its_unit(material, tmp_path):
    path = tmp_path / "new" / "table.csv"
    said = to_csv.write(material, path, force=False)
    table = lines(path)
    assert len(table) == len(material.rows)
    first = {"run": "odd", "signal": "time.data", "place": "", "unit": "s"}
    assert {**first, "step": "10", "value": "0.01"} in table
    odd = [line for line in table if line["place"] == ODD]
    assert [float(line["value"]) for line in odd] == [0.25, -math.inf]
    assert [line["value"] for line in table if line["signal"] == "loss.training"][2] == "nan"
    assert str(path) in said


def test_findings_stand_in_a_second_csv_file(sick, tmp_path):
    to_csv.write(sick, tmp_path / "table.csv", force=False)
    (line,) = lines(tmp_path / "table.findings.csv")
    assert (line["run"], line["rank"], line["code"]) == ("sick", "1", "L01")
    assert line["file"].endswith("conftest.py")


@pytest.mark.parametrize("there", ["table.csv", "table.findings.csv"])
def test_a_file_that_is_there_is_replaced_only_by_force(material, tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(CallError, match=rf"there is .*{there} already.*--force"):
        to_csv.write(material, tmp_path / "table.csv", force=False)
    assert [path.name for path in tmp_path.glob("table*")] == [there]
    assert (tmp_path / there).read_text() == "mine"
    to_csv.write(material, tmp_path / "table.csv", force=True)
    assert len(lines(tmp_path / "table.csv")) == len(material.rows)


def test_a_folder_is_never_replaced(material, tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(CallError, match=r"it is a folder"):
        to_csv.write(material, tmp_path / "table.csv", force=True)


def test_an_empty_run_gives_tables_of_headings(empty, tmp_path):
    to_csv.write(empty, tmp_path / "table.csv", force=False)
    assert (tmp_path / "table.csv").read_text() == "run,signal,place,unit,step,value\n"


def test_a_parquet_table_holds_the_same_with_types(material, empty, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = tmp_path / "table.parquet"
    to_parquet.write(material, path, force=False)
    table = parquet.read_table(path).to_pylist()
    assert [(row["signal"], row["place"], row["step"]) for row in table] == [
        (row.signal, row.place, row.step) for row in material.rows
    ]
    assert parquet.read_schema(path).field("step").type == "int64"
    assert {row["unit"] for row in table} == {"", "s", "share"}
    assert [row["value"] for row in table if row["place"] == ODD] == [0.25, -math.inf]
    assert math.isnan(table[2]["value"])
    to_parquet.write(empty, tmp_path / "empty.parquet", force=False)
    assert parquet.read_schema(tmp_path / "empty.parquet") == parquet.read_schema(path)


def test_findings_stand_in_a_second_parquet_file(sick, empty, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    to_parquet.write(sick, tmp_path / "sick.parquet", force=False)
    (line,) = parquet.read_table(tmp_path / "sick.findings.parquet").to_pylist()
    assert (line["code"], line["rank"], line["severity"]) == ("L01", 1, "fault")
    to_parquet.write(empty, tmp_path / "none.parquet", force=False)
    schemas = [parquet.read_schema(tmp_path / f"{n}.findings.parquet") for n in ("sick", "none")]
    assert schemas[0] == schemas[1]
