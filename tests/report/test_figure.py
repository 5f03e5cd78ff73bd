from pathlib import Path

import pytest
from click.testing import CliRunner

from torchdx.cli import torchdx
from torchdx.errors import CallError
from torchdx.report.charts.base import said

pytest.importorskip("vl_convert")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    result = CliRunner().invoke(torchdx, ["figure", *map(str, arguments)], standalone_mode=False)
    if isinstance(result.exception, CallError):
        return str(result.exception)
    assert result.exception is None, result.exception
    return result.output


def test_without_a_name_all_figures_are_listed(records, here):
    listed = call(records("summed"), "").splitlines()
    names = [line.split()[0] for line in listed]
    assert {"learning", "depth-time", "gradient-flow", "activation-histogram", "time"} <= set(names)
    assert all(len(line) > 40 for line in listed)


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF")]
)
def test_a_figure_is_written_in_the_format_of_its_name(records, here, suffix, begins):
    said = call(records("summed"), "gradient-flow", "-o", f"flow{suffix}")
    assert Path(f"flow{suffix}").read_bytes().startswith(begins)
    assert said.startswith(f"wrote flow{suffix}: gradient norm by depth")


def test_equal_records_give_equal_figures(records, here):
    for name in ("a.svg", "b.svg"):
        call(records("summed"), "learning", "-o", name)
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()


def test_the_signal_of_the_picture_can_be_chosen(records, here):
    call(records("healthy"), "depth-time", "--signal", "unit.dead", "-o", "dead.svg")
    assert "dead units" in Path("dead.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no nonsense of healthy"),
        (["learning", "-o", "x.gif"], "has to end in one of .svg, .png, .pdf, not in '.gif'"),
        (["learning", "-o", "none/x.svg"], "cannot write none/x.svg: No such file"),
        (["depth-time", "--signal", "mood"], "no signal is called 'mood'. There are: gradient"),
        (["a", "b"], "one run and one figure can be named"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_call_gets_one_message(records, here, arguments, message):
    assert message in call(records("healthy"), *arguments)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "not measured"),
        (0.000123, "0.000123"),
        (-2411.0, "-2,410"),
        (999.6, "1,000"),
        (3e8, "3e+08"),
    ],
)
def test_a_number_in_a_sentence_has_three_digits(value, words):
    assert said(value) == words
