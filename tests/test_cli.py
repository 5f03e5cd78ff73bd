"""The commands that read a record: what they print, write and return."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from tests.support import observed
from torchdx.cli import COMMANDS, torchdx
from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record import index
from torchdx.record.writer import Writer
from torchdx.rules.base import all_rules


def train(*, twice: bool, steps: int = 12) -> None:
    """Some steps of a classifier, with one softmax too many or without."""
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(16, 6), torch.arange(16) % 4
    for _ in range(steps):
        optimizer.zero_grad()
        scores = model(x).softmax(1) if twice else model(x)
        nn.functional.cross_entropy(scores, y).backward()
        optimizer.step()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the records `sick`, `healthy` and `idle`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / index.FOLDER
    observed(lambda: None, folder / "idle.dx")
    observed(lambda: train(twice=False), folder / "healthy.dx")
    observed(lambda: train(twice=True), folder / "sick.dx")
    return tmp_path


def call(*arguments: str):
    """Exit status and what was printed, of the command line as a user meets it."""
    run = subprocess.run(
        [sys.executable, "-m", "torchdx", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return run.returncode, run.stdout, run.stderr


def quick(*arguments: str) -> tuple[object, str]:
    """What a command returns and prints, in this process."""
    result = CliRunner().invoke(torchdx, list(arguments), standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.stdout


def test_check_says_by_its_status_whether_a_run_is_healthy(here):
    assert call("check", "healthy")[:2] == (
        0,
        f"healthy: healthy ({len(all_rules())} rules checked)\n",
    )
    status, said, _ = call("check", "sick")
    assert status == 1
    assert said.startswith(f"{__file__}:")
    assert "L01 softmax-before-cross-entropy: softmax is applied twice to the 4 scores" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "idle"], "there is nothing to check"),
        (["check", "other"], "no run is called 'other'"),
        (["check", "text.dx"], "not a torchdx record"),
        (["report", "sick", "-o", "page.txt"], "one of .html, .json, .xml, not in '.txt'"),
        (["report", "sick", "-o", "none/f.json"], "cannot write none/f.json: No such file"),
        (["explain", "L99"], "no rule is called 'L99'"),
        (["explain", "sumed-loss"], "Near: summed-loss"),
        (["run"], "Missing argument"),
        (["run", "--curvature", "often", "x.py"], "--curvature often: not a number of steps"),
        (["frobnicate"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_ends_with_one_message_and_status_2(here, arguments, message):
    (here / "text.dx").write_text("a text")
    status, said, error = call(*arguments)
    assert (status, said) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_where_little_was_seen_it_is_said_beside_what_was_not_found(here):
    observed(lambda: train(twice=False, steps=1), here / index.FOLDER / "short.dx")
    little = "; little was seen: 1 backward pass, 1 step"
    _, said = quick("report", "short", "--text")
    assert f"{len(all_rules())} not found{little}" in " ".join(said.split())
    _, said = quick("check", "short")
    assert said == f"short: healthy ({len(all_rules())} rules checked{little})\n"


def stopped(folder, *, twice):
    """The record of a run that torchdx stopped watching by an error of its own."""
    path = folder / index.FOLDER / "stopped.dx"
    observer = Observer(Recorder(Writer(path)))
    observer.start()
    after = observer._kit.strides.stepped

    def breaking(optimizer, number, step):
        after(optimizer, number, step)
        if step == 8:
            message = "a defect"
            raise ZeroDivisionError(message)

    observer._kit.strides.stepped = breaking
    train(twice=twice)
    observer.finish(status=0)


def test_a_run_that_was_not_watched_to_its_end_is_not_called_healthy(here):
    stopped(here, twice=False)
    status, said, error = call("check", "stopped")
    assert (status, said) == (2, "")
    assert "stopped watching at step 8 because of an error of its own" in " ".join(error.split())
    assert "ZeroDivisionError: a defect" in error
    _, said = quick("report", "stopped", "--text")
    assert "nothing found until step 8, where watching ended: no more can be said" in said
    assert f"{len(all_rules())} rules: 0 found, {len(all_rules())} unclear" in said
    assert "not found" not in said
    assert "0 found" in said


def test_findings_from_before_torchdx_stopped_watching_count(here):
    stopped(here, twice=True)
    status, said, error = call("check", "stopped")
    assert status == 1
    assert "L01 softmax-before-cross-entropy" in said
    assert "stopped watching at step 8" in " ".join(error.split())


def test_files_say_that_a_run_was_not_watched_to_its_end(here):
    stopped(here, twice=False)
    quick("report", "stopped", "-o", "f.json")
    report = json.loads(Path("f.json").read_text())
    assert report["run"]["failure"].startswith("ZeroDivisionError: a defect")
    assert report["run"]["watched_steps"] == 8
    assert {rule["outcome"] for rule in report["checked"]} == {"unclear"}
    quick("report", "stopped", "-o", "f.xml")
    suite = ET.parse("f.xml").getroot()  # noqa: S314  # our own
    assert (suite.get("errors"), suite.get("skipped")) == ("1", str(len(all_rules())))
    assert len(list(suite.iter("skipped"))) == len(all_rules())
    assert suite.get("tests") == str(len(list(suite.iter("testcase"))))


def test_report_writes_findings_of_the_documented_schema(here):
    quick("report", "sick", "-o", "f.json")
    report = json.loads(Path("f.json").read_text())
    assert report["schema"] == 1
    assert set(report) == {
        *("schema", "torchdx", "run", "findings", "explained", "unclear", "checked", "trials"),
    }
    (finding,) = report["findings"]
    assert set(finding) == {
        *("rank", "code", "name", "severity", "text", "place", "file", "line", "source"),
        *("evidence", "prescriptions", "confirm", "confidence", "excluded", "chain"),
    }
    assert (finding["rank"], finding["code"], finding["file"]) == (1, "L01", __file__)
    assert "softmax(1)" in finding["source"]
    assert [rule["code"] for rule in report["checked"]] == [rule.code for rule in all_rules()]
    described = (Path(__file__).parents[1] / "docs" / "findings-schema.md").read_text()
    for field in (*report, *finding, *report["run"]):
        assert f"`{field}`" in described, field


def test_report_writes_junit_that_counts_what_was_found(here):
    quick("report", "sick", "-o", "f.xml")
    suite = ET.parse("f.xml").getroot()  # noqa: S314  # our own
    assert suite.get("tests") == str(len(all_rules()))
    assert suite.get("failures") == "1"
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "fault"
    assert __file__ in (failure.text or "")


def test_equal_records_give_equal_files(here):
    for name in ("a.json", "b.json", "a.xml", "b.xml"):
        quick("report", "sick", "-o", name)
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    assert Path("a.xml").read_bytes() == Path("b.xml").read_bytes()


def test_report_without_a_file_puts_a_page_beside_the_record(here):
    status, said, error = call("report", "sick")
    assert (status, said) == (0, "")
    assert error == "wrote .torchdx/sick.html: 1 finding(s)\n"
    assert "<h1>Softmax before cross entropy</h1>" in Path(".torchdx/sick.html").read_text()


def test_report_as_text_shows_the_summary_of_the_last_run(here):
    _, said, _ = call("report", "--text")
    assert "1  ✗ L01 softmax-before-cross-entropy" in said
    assert "\x1b[" not in said, "no colours where no terminal is"
    assert not any(line.endswith(" ") for line in said.splitlines())


def test_runs_lists_every_record_even_those_that_cannot_be_read(here):
    (here / index.FOLDER / "broken.dx").write_bytes(b"nothing")
    _, said = quick("runs")
    rows = {line.split()[0]: line for line in said.splitlines()[1:]}
    assert set(rows) == {"idle", "healthy", "sick", "broken"}
    assert rows["sick"].rstrip().endswith("L01")
    assert "not a torchdx record" in rows["broken"]


def test_dump_prints_entries_one_a_line(here):
    _, said = quick("dump", "sick", "--type", "look")
    looks = [json.loads(line) for line in said.splitlines()]
    assert [look["step"] for look in looks][:5] == [1, 2, 3, 4, 5]
    assert {look["e"] for look in looks} == {"look"}


def test_explain_prints_the_page_of_a_rule_by_code_or_name(here):
    assert quick("explain", "l09") == quick("explain", "summed-loss")
    assert "## Why the net does not learn" in quick("explain", "L09")[1]


def test_rules_lists_every_rule(here):
    _, said = quick("rules")
    assert all(rule.code in said for rule in all_rules())


def test_every_command_has_a_help_text():
    for command in COMMANDS:
        _, said = quick(command, "--help")
        assert said.startswith("Usage: torchdx")


def test_reading_a_record_imports_no_torch(here):
    code = "import sys; from torchdx.cli import torchdx\n"
    code += "torchdx.main(['check', 'sick'], standalone_mode=False)\n"
    code += "print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"


@pytest.mark.slow
def test_the_demo_finds_three_things_on_real_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said, error = call("demo")
    assert status == 0
    assert "epoch 8" in said
    assert [error.count(f" {rank}  ✗ ") for rank in (1, 2, 3)] == [1, 1, 1]
