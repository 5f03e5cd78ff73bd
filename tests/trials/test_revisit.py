"""Coming back to a recorded run: the program is run again up to a step, and asked there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from torchdx.cli import torchdx
from torchdx.errors import CallError
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.trials import revisit

PROGRAM = """
import subprocess
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(96, 6), torch.randint(3, (96,))
net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(12):
    rows = slice(32 * (step % 3), 32 * (step % 3) + 32)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
    loss.backward()
    optimizer.step()
    open("log.txt", "a").write(f"{loss.item()}\\n")
    if step == 5:
        torch.save({"model": net.state_dict()}, "middle.pt")
    torch.save(net.state_dict(), "last.pt")
"""


def record_of(folder):
    line = [sys.executable, "-m", "torchdx", "run", "-q", "train.py"]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "train.py").write_text(PROGRAM)
    record_of(folder)
    return folder


@pytest.fixture
def recorded(made_once, monkeypatch):
    (made_once / "train.py").write_text(PROGRAM)
    monkeypatch.chdir(made_once)
    return made_once


def ask(*options):
    return CliRunner().invoke(torchdx, ["curvature", *options], standalone_mode=False)


def of(record_meta, **more):
    record = Record()
    record.meta = record_meta
    return revisit.plan(record, **{"step": 1, "checkpoint": None, "top": 1, "threads": 1} | more)


def eigenvalues(weights, rows):
    """The Hessian of the program's loss in full, by double backward."""
    torch.manual_seed(0)
    x, y = torch.randn(96, 6), torch.randint(3, (96,))
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    net.load_state_dict(weights)
    names, values = zip(*net.named_parameters(), strict=True)

    def loss(*parts):
        out = torch.func.functional_call(net, dict(zip(names, parts, strict=True)), (x[rows],))
        return torch.nn.functional.cross_entropy(out, y[rows])

    blocks = torch.autograd.functional.hessian(loss, tuple(values))
    sizes = [v.numel() for v in values]
    table = [[b.reshape(m, n) for b, n in zip(row, sizes, strict=True)]
             for row, m in zip(blocks, sizes, strict=True)]  # fmt: skip
    return torch.linalg.eigvalsh(torch.cat([torch.cat(row, 1) for row in table]).double())


@pytest.mark.slow
def test_the_curvature_of_a_step_is_that_of_its_batch_at_its_weights(recorded):
    told = json.loads(ask("--step", "7", "--json").stdout)
    saved = torch.load(recorded / "middle.pt", weights_only=True)["model"]  # after step 6
    expected = eigenvalues(saved, slice(0, 32))
    assert told["run"]["step"] == 7
    assert told["extremes"]["highest"]["low"] == pytest.approx(float(expected[-1]), rel=2e-3)
    assert told["stability"]["lr"] == 0.1
    assert told["stability"]["trend"] == "unknown"  # six losses are too few


@pytest.mark.slow
def test_the_losses_before_the_step_are_known(recorded):
    told = json.loads(ask("--step", "12", "--json").stdout)
    assert told["stability"]["trend"] in {"rising", "flat", "falling"}


@pytest.mark.slow
def test_at_a_checkpoint_it_is_that_of_the_files_weights(recorded):
    told = json.loads(ask("--checkpoint", "last.pt", "--step", "2", "--json").stdout)
    saved = torch.load(recorded / "last.pt", weights_only=True)
    expected = eigenvalues(saved, slice(32, 64))
    assert told["extremes"]["highest"]["low"] == pytest.approx(float(expected[-1]), rel=2e-3)
    assert any("no state of it" in note for note in told["run"]["notes"])


@pytest.mark.slow
def test_the_users_files_and_record_stay_as_they_are(recorded):
    known = {p: p.read_bytes() for p in recorded.rglob("*") if p.is_file()}
    said = ask("--step", "9").stdout
    assert said.splitlines()[0].startswith("train.py, step 9: the loss of Sequential, 32 rows")
    assert "step size: stable" in said
    assert {p: p.read_bytes() for p in recorded.rglob("*") if p.is_file()} == known


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--step", "40"), "ended after 12 optimizer steps; step 40 did not come: --step 12 is"),
        (("--checkpoint", "train.py"), "train.py is no checkpoint"),
        (("--checkpoint", "other.pt"), "other.pt is of another model: 0 of the 4 tensors"),
    ],
    ids=["a step too late", "no checkpoint", "another model's"],
)
def test_what_cannot_be_asked_is_refused_in_one_message(recorded, options, message):
    torch.save(torch.nn.Linear(4, 4).state_dict(), recorded / "other.pt")
    refused = ask(*options).exception
    assert isinstance(refused, CallError)
    assert message in str(refused)
    assert "\n" not in str(refused)


@pytest.mark.slow
def test_a_program_that_fails_by_now_is_told_with_its_error(recorded):
    text = PROGRAM.replace("x, y =", "import not_there_any_more\nx, y =")
    (recorded / "train.py").write_text(text)
    refused = str(ask("--step", "2").exception)
    assert "failed (ModuleNotFoundError" in refused
    assert "before its first optimizer step" in refused


@pytest.mark.slow
def test_that_the_program_has_changed_is_said(recorded):
    record = read(next((recorded / ".torchdx").glob("*.dx")))
    assert list(revisit.changed(record)) == []
    text = PROGRAM.replace("lr=0.1, momentum=0.9", "lr=0.2")
    (recorded / "train.py").write_text(text)
    assert "train.py:9" in list(revisit.changed(record))
    said = ask("--step", "1").stdout
    assert "the program has changed since the run: train.py:9" in said
    assert "0.2, stable up to" in said


@pytest.mark.slow
def test_an_optimizer_that_steps_by_a_closure_leaves_the_questions_about_steps(here):
    text = PROGRAM
    for old, new in (
        ("SGD(net.parameters(), lr=0.1, momentum=0.9)", "LBFGS(net.parameters())"),
        ("    optimizer.zero_grad()\n", "    def closure():\n        optimizer.zero_grad()\n"),
        ("    loss = nn", "        global loss\n        loss = nn"),
        ("    loss.backward()\n", "        loss.backward()\n        return loss\n"),
        ("optimizer.step()", "optimizer.step(closure)"),
    ):
        text = text.replace(old, new)
    (here / "train.py").write_text(text)
    record_of(here)
    told = json.loads(ask("--step", "2", "--json").stdout)
    assert "stability" not in told
    assert any("LBFGS steps by a closure" in note for note in told["run"]["notes"])
    assert told["extremes"]["highest"]["low"] > 0


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "of a notebook"),
        ({"argv": ["x.py"], "child": True}, "a process that a program started"),
        ({"argv": ["x.py"], "world": 2}, "had 2 ranks"),
        ({"argv": ["x.py"], "cwd": "/"}, "the program x.py is no longer there"),
    ],
    ids=["a notebook", "a child", "ranks", "moved"],
)
def test_a_run_that_cannot_be_started_again_is_refused(meta, message):
    with pytest.raises(CallError, match=message):
        of(meta)


def test_a_file_that_is_not_there_is_refused_before_anything_runs(here):
    (here / "x.py").write_text("")
    with pytest.raises(CallError, match=r"there is no file best\.pt"):
        of({"argv": ["x.py"], "cwd": str(here)}, checkpoint=Path("best.pt"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "needs MODULE:FUNCTION"),
        (("a:b", "--step", "3"), "give one or the other"),
        (("--step", "3"), "no record in"),
    ],
    ids=["neither", "both", "no record"],
)
def test_a_call_that_names_nothing_to_ask_about_gets_one_message(here, options, message):
    assert message in str(ask(*options).exception)
