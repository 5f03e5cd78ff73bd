"""`torchdx export` as a user meets it."""

import sys

import pytest
from click.testing import CliRunner

from tests.integrations.records import ENTRIES, written
from torchdx.cli import torchdx
from torchdx.errors import CallError, RecordError
from torchdx.integrations import TARGETS, exporter
from torchdx.record.units import UNITS, unit_of


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with one run, `odd`."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / ".torchdx" / "odd.dx", *ENTRIES).parent


def export(*arguments):
    """What the command says."""
    result = CliRunner().invoke(torchdx, ["export", *arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    assert result.return_value == 0
    return result.stderr


def test_the_last_run_goes_beside_its_record_and_a_line_says_how_to_open_it(here):
    assert export("--to", "csv") == (
        "wrote 18 values of 8 series and 0 finding(s) to .torchdx/odd.csv and odd.findings.csv. "
        "Open it: pandas.read_csv('.torchdx/odd.csv')\n"
    )
    assert (here / "odd.csv").exists()


def test_the_call_that_opens_an_export_can_be_pasted(here, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert "--logdir 'my logs'\n" in export("--to", "tensorboard", "-o", "my logs")


def test_its_help_shows_a_call_a_line():
    said = CliRunner().invoke(torchdx, ["export", "--help"]).stdout
    assert "\n  torchdx export --to tensorboard\n" in said
    assert "\\b" not in said


def test_the_place_may_be_named_behind_the_run_or_by_an_option(here, tmp_path):
    export("odd", "one.csv", "--to", "csv")
    export("--to", "csv", "-o", "two.csv")
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()
    with pytest.raises(CallError, match=r"asked to write to one.csv and to two.csv: name one."):
        export("odd", "one.csv", "--to", "csv", "-o", "two.csv")


def test_a_place_without_a_run_is_told_how_to_be_named(here):
    with pytest.raises(RecordError, match=r"say: torchdx export --to csv -o table.csv"):
        export("table.csv", "--to", "csv")


def test_what_is_lost_or_was_never_there_is_said(here):
    written(here / "idle.dx")
    assert "wrote 0 values of 0 series and 0 finding(s) (no training was seen) to" in export(
        "idle", "--to", "csv"
    )
    with (here / "odd.dx").open("ab") as file:
        file.write(b"dx\x01")
    assert "(the record is torn: 3 bytes at its end are lost)" in export("odd", "--to", "csv")


@pytest.mark.parametrize(
    ("tool", "module", "packages"),
    [
        ("tensorboard", "tensorboard", "tensorboard"),
        ("mlflow", "alembic", "mlflow-skinny sqlalchemy alembic"),
        ("wandb", "wandb", "wandb"),
        ("parquet", "pyarrow", "pyarrow"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_call_that_installs_it(
    here, monkeypatch, tool, module, packages
):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CallError) as error:
        export("--to", tool, "-o", "somewhere")
    assert str(error.value).startswith(f"cannot export to {tool}: ")
    assert f"pip install {packages}, or all of them: pip install 'torchdx[export]'." in str(
        error.value
    )
    assert [path.name for path in here.parent.iterdir()] == [".torchdx"]


@pytest.mark.parametrize("tool", TARGETS)
def test_every_exporter_says_where_it_writes_and_writes(tool, tmp_path):
    assert exporter(tool).place(tmp_path / "a.dx").is_relative_to(tmp_path)
    assert callable(exporter(tool).write)


@pytest.mark.parametrize("tool", TARGETS)
def test_a_place_that_cannot_be_written_to_is_said_in_one_message(here, tmp_path, tool):
    (tmp_path / "file").write_text("")
    pytest.importorskip({"csv": "csv", "parquet": "pyarrow"}.get(tool, tool))
    with pytest.raises(CallError, match="cannot write"):
        export("--to", tool, "-o", str(tmp_path / "file" / "inside.csv"))


def test_every_signal_that_is_recorded_has_its_unit_in_the_table(sick):
    assert {row.signal for row in sick.rows} <= set(UNITS)
    assert unit_of("activation.zeros") == "share"
    assert unit_of("something.new") == ""
