"""`torchdx try` as a person meets it: small programs, really run."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.trials.conftest import PATH
from tests.trials.test_nursery import gone
from torchdx.boot.nursery import Birth, Nursery
from torchdx.cli import torchdx
from torchdx.errors import CallError
from torchdx.trials import runner

PROGRAM = """
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(512, 10)
y = (x @ torch.randn(10, 4)).argmax(1)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=LR)
for step in range(STEPS):
    rows = torch.randint(0, 512, (64,))
    BEFORE
    scores = model(x[rows])
    loss = nn.functional.cross_entropy(SCORES, y[rows])
    AFTER
    ZERO
    loss.backward()
    optimizer.step()
END
"""
PARTS = {
    "STEPS": "30",
    "LR": "0.2",
    "SCORES": "scores.softmax(1)",
    "ZERO": "optimizer.zero_grad()",
    "BEFORE": "",
    "AFTER": "",
    "END": "",
}


def text(**parts: str) -> str:
    """The program with a softmax too many, parts of it replaced."""
    program = PROGRAM
    for name, part in {**PARTS, **parts}.items():
        program = program.replace(name, part)
    return program


@dataclass
class Said:
    """What a command returned and printed; the arms' results, by arm and seed."""

    status: int
    out: str
    runs: dict[tuple[str, int], dict]

    @property
    def verdict(self) -> str:
        """The line that is told first."""
        lines = [line.strip() for line in self.out.splitlines()]
        return next(line for line in lines if line[:2] in {"✓ ", "+ ", "= ", "✗ ", "? "})

    @property
    def flat(self) -> str:
        """All that was printed, in one line."""
        return " ".join(self.out.split())


@pytest.fixture(scope="module", autouse=True)
def _nurseries():
    yield
    Nursery.close_all()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder of a program."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


def observed(*arguments: str, **variables: str) -> None:
    """`torchdx run` in a child of the nursery."""
    line = ["run", "-q", "-f", "--record", ".torchdx/a.dx", *arguments]
    places = str(Path.cwd()), str(Path.cwd().parent / "out"), str(Path.cwd().parent / "err")
    from torchdx.trials.surroundings import OFFLINE

    birth = Birth("tests.trials.inside:command", json.dumps(line), *places, variables)
    own = {**OFFLINE, "PYTHONPATH": PATH}
    with Nursery.lent(own) as nursery:
        nursery.begin(birth)
        nursery.wait(60)
    assert Path(".torchdx/a.dx").exists(), Path(places[2]).read_text()


def program(content: str, *arguments: str, name: str = "train.py", **variables: str) -> None:
    """Write a program and observe it."""
    Path(name).write_text(content)
    observed(name, *arguments, **variables)


def tried(*arguments: str) -> Said:
    """`torchdx try`, in this process."""
    result = CliRunner().invoke(
        torchdx,
        ["try", *arguments, *([] if "-j" in arguments else ["-j", "1"])],
        standalone_mode=False,
        catch_exceptions=False,
    )
    return Said(result.return_value, result.stdout, results())


def results() -> dict[tuple[str, int], dict]:
    found = map(json.loads, (p.read_text() for p in Path(".torchdx").rglob("result.json")))
    return {(run["arm"], run["seed"]): run for run in found}


def listed(folder: Path) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and ".torchdx" not in p.parts and "__pycache__" not in p.parts
    }


# -- verdicts --------------------------------------------------------------------------------------

SUMMED_UP = text(LR="0.5", SCORES="scores", ZERO="", STEPS="60")


def test_the_root_is_cured_and_what_went_with_it_is_not_tried(here):
    program(SUMMED_UP)
    before = listed(here)
    said = tried()
    lines = [line.strip() for line in said.out.splitlines()]
    assert said.status == 0
    assert said.verdict.startswith("✓ cured  2.")
    assert lines.index(said.verdict) < next(i for i, t in enumerate(lines) if t.startswith("arm "))
    assert "went too       O01 step-too-long, O17 fluctuating-loss" in lines
    assert "✓ O17 fluctuating-loss: gone where O04 is treated; not tried by itself" in lines
    assert "A/A noise      0: the same seed gives the same losses, to the last bit" in lines
    assert "+    optimizer.zero_grad()" in lines
    assert said.out.count("torchdx try O") == 1
    assert len(said.runs) == 21
    assert [line == line.rstrip() for line in said.out.splitlines()] == [True] * len(lines)
    assert max(map(len, lines)) <= 100
    assert listed(here) == before


@pytest.mark.slow
def test_helped_where_generic_advice_does_as_well(here):
    program(text())
    said = tried("L01")
    assert said.status == 1
    assert said.verdict.startswith("+ helped  0.98")
    assert "not proven better than `lr x 3`" in said.out


def test_a_healthy_run_has_nothing_to_try(here):
    program(text(SCORES="scores", LR="0.1"))
    said = tried()
    assert (said.status, said.runs) == (0, {})
    assert said.out == "nothing was found in a, so there is nothing to try.\n"
    with pytest.raises(CallError, match=r"L01 was not found in this run \(found: nothing\)"):
        tried("L01")


def test_what_only_one_run_showed_is_not_treated(here):
    sick = "scores.softmax(1) if __import__('os').environ.get('SICK') else scores"
    program(text(SCORES=sick), SICK="1")
    said = tried("L01")
    assert said.verdict.startswith("? cannot tell")
    assert "not reproduced: no run as it is showed the finding again" in said.flat
    assert set(said.runs) == {("as it is", 0), ("as it is, again", 0), ("as it is", 1)}


def test_a_program_that_does_not_repeat_itself_has_its_spread_told(here):
    random = (
        "rows = torch.from_numpy(__import__('numpy').random.default_rng().integers(0, 512, 64))"
    )
    program(text(BEFORE=random, END="__import__('os')._exit(0)"))
    said = tried("--seeds", "1")
    pair = [said.runs[arm, 0]["scores"]["rows.loss"] for arm in ("as it is", "as it is, again")]
    noise = f"{abs(pair[0] - pair[1]):.3g}"
    assert noise != "0"
    assert f"A/A noise      {noise}, of one pair: the program does not repeat itself" in said.out


# -- programs --------------------------------------------------------------------------------------


def test_a_program_that_reads_the_terminal_cannot_be_run_and_two_runs_say_so(here):
    program(text())
    Path("train.py").write_text("import torch\ninput('how many epochs? ')\n" + text())
    said = tried("L01", "--run", ".torchdx/a.dx")
    assert said.verdict == "? cannot tell"
    assert "the program does not run: EOFError: EOF when reading a line" in said.flat
    assert len(said.runs) == 2


FILES = """
import argparse
from pathlib import Path
asked = argparse.ArgumentParser()
asked.add_argument("--rate", type=float, required=True)
rate = asked.parse_args().rate
HERE = Path(__file__).parent
(HERE / "runs").mkdir(exist_ok=True)
data = Path("data.txt").read_text()
for old in (HERE / "runs").glob("*.pt"):
    old.unlink()
""" + text(
    LR="rate",
    AFTER="""
    if step % 10 == 5:
        torch.save(model.state_dict(), HERE / "runs" / f"{step}.pt")
        torch.save(model.state_dict(), "last.pt")
        open("log.txt", "a").write("step\\n")
""",
    END="""
found = sorted((HERE / "runs").glob("*.pt"))
model.load_state_dict(torch.load(found[-1]))
model.load_state_dict(torch.load("last.pt"))
print(len(found), len(open("log.txt").readlines()), data)
""",
)


def test_arguments_are_given_again_and_the_users_files_stay(here):
    Path("data.txt").write_text("kept")
    program(FILES, "--rate", "0.2")
    assert Path("runs/25.pt").exists()
    before = listed(here)
    said = tried("L01", "--seeds", "1", "--keep")
    assert not any(run.get("error") for run in said.runs.values())
    assert listed(here) == before
    outs = [path.read_text() for path in Path(".torchdx/trials").rglob("out.txt")]
    assert outs == ["3 6 kept\n"] * 5  # their log goes on from the user's
    assert "kept away" in said.out
    assert len(list(Path(".torchdx/trials").rglob("scratch/last.pt"))) == 5


CHILDREN = text(
    BEFORE="rows = next(batches)",
    END="""
import subprocess, sys
assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(left.pid)
""",
).replace(
    "for step",
    "again = torch.utils.data.RandomSampler(range(512), replacement=True, num_samples=3840)\n"
    "loader = torch.utils.data.DataLoader(range(512), 64, sampler=again, num_workers=2)\n"
    "batches = iter(loader)\nfor step",
)


def test_loaders_have_their_workers_and_no_process_is_left(here):
    program(CHILDREN)
    said = tried("L01", "--seeds", "1")
    assert not any(run.get("error") for run in said.runs.values())
    assert said.runs["as it is", 0]["losses"] == said.runs["as it is, again", 0]["losses"]
    assert said.runs["as it is", 0]["losses"] != said.runs["treated", 0]["losses"]
    left = [int(path.read_text()) for path in Path(".torchdx/trials").rglob("out.txt")]
    assert len(left) == 5
    assert all(map(gone, left))


def test_a_treated_run_that_fails_is_told_and_proves_nothing(here):
    program(text(LR="0.5", AFTER="if step == 25 and loss < 0.74: raise ValueError('too good')"))
    said = tried("L01", "--seeds", "1")
    assert said.verdict.startswith("? cannot tell")
    assert "1 treated run failed, and the same as it is did not" in said.flat
    assert "failed treated: ValueError: too good" in said.flat
    assert "lr x 3: ValueError" not in said.flat
    assert "treated (1 failed)" in said.out


def test_a_run_that_hangs_is_set_aside_by_the_rule_that_was_told(here, monkeypatch):
    monkeypatch.setattr(runner, "LEAST_S", 3.0)
    monkeypatch.setattr(runner, "STALLED", 1.0)
    program(text(LR="0.5", AFTER="if step == 25 and loss < 0.74: __import__('time').sleep(300)"))
    said = tried("L01", "--seeds", "1")
    assert said.runs["treated", 0]["stalled"]
    limit = max(3.0, *(said.runs[a, 0]["wall_s"] for a in ("as it is", "as it is, again")))
    assert limit <= said.runs["treated", 0]["wall_s"] < limit + 3
    assert f"treated: set aside after {limit:.0f} s" in said.out
    assert not said.runs["lr / 3", 0].get("error")


def test_modules_run_as_modules(here):
    Path("package").mkdir()
    Path("package/__init__.py").touch()
    Path("package/parts.py").write_text("RATE = 0.2\n")
    Path("package/train.py").write_text("from .parts import RATE\n" + text(LR="RATE"))
    observed("-m", "package.train")
    said = tried("L01", "--seeds", "1")
    assert said.runs["as it is", 0]["codes"][0] == "L01"
    assert not any(run.get("error") for run in said.runs.values())


# -- the command -----------------------------------------------------------------------------------


def test_what_was_run_is_kept_until_the_program_is_another(here):
    program(text())
    first = tried("L01", "--seeds", "1", "--steps", "12")
    assert all(run["made"] == 12 for run in first.runs.values())
    again = tried("L01", "--seeds", "1", "--steps", "12")
    assert "5 runs of 12 steps, 1 s, 5 kept from before" in again.out
    assert again.runs == first.runs
    Path("train.py").write_text(text() + "\n# another\n")
    over = tried("L01", "--seeds", "1", "--steps", "12", "--max-minutes", "1e-9")
    assert "kept from before" not in over.out
    assert "no run begins after --max-minutes 1e-09" in over.out
    assert over.status == 1


def test_too_few_seeds_are_told_before_anything_runs(here):
    program(text())
    said = tried("L01", "--seeds", "1", "--steps", "12", "--max-minutes", "1")
    flat = " ".join(said.out.split())
    warned = flat.index("`cannot tell`, whatever is seen: 1 seed cannot decide at 95%: --seeds 5")
    assert warned < flat.index("1 of 5 runs")
    assert "or begins after 1 minute " in flat


def test_what_a_trial_showed_stays_and_the_report_tells_it(here):
    program(SUMMED_UP)
    tried("O04", "--seeds", "1")
    report = CliRunner().invoke(torchdx, ["report", "--text"]).stdout
    assert "tried O04: cannot tell" in " ".join(report.split())
    assert CliRunner().invoke(torchdx, ["report", "-o", "x.json"]).exit_code == 0
    (kept,) = json.loads(Path("x.json").read_text())["trials"]
    assert kept == json.loads(Path(".torchdx/trials/a-O04/trial.json").read_text())
    assert kept["arms"][0]["values"].keys() == {"0"}
    assert Path(kept["edit"]["file"]).samefile("train.py")
    changed = SUMMED_UP.splitlines()[kept["edit"]["line"] - 1].strip()
    assert changed == "loss.backward()"
    assert f" {changed}" in kept["edit"]["diff"]


def test_the_edit_is_one_that_git_takes(here):
    program(SUMMED_UP)
    printed = tried("O04", "--patch")
    assert printed.status == 0
    checked = subprocess.run(
        ["git", "apply", "--check", "-"],
        input=printed.out,
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert printed.runs == {}


def test_what_cannot_be_run_again_is_said_before_anything_is(here):
    program(text())
    Path("train.py").rename("other.py")
    with pytest.raises(CallError, match=r"train\.py is no longer there \(it was run in"):
        tried("L01")
    Path("other.py").rename("train.py")
    Path(".torchdx/trials").write_text("no folder")
    with pytest.raises(CallError, match="which cannot be written: Not a directory"):
        tried("L01")


def test_a_folder_that_another_trial_is_at_work_in_is_left_to_it(here):
    fcntl = pytest.importorskip("fcntl")
    program(text())
    folder = Path(".torchdx/trials/a-L01")
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CallError, match="another `torchdx try` is at work"):
            tried("L01")


def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(here):
    program(text(AFTER="__import__('time').sleep(0.02)"))
    line = [sys.executable, "-m", "torchdx", "try", "L01", "--seeds", "1", "-j", "1"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    said = ""
    while "3 of 5 runs" not in said:
        said += running.stdout.readline()
    time.sleep(0.3)  # the fourth runs
    children = _below(running.pid)
    assert len(children) >= 2
    running.send_signal(signal.SIGINT)
    said += running.communicate(timeout=20)[0]
    assert running.returncode == 130
    assert "? cannot tell" in said
    assert "interrupted; the same command goes on from here" in " ".join(said.split())
    assert all(map(gone, children))
    assert len(results()) in {3, 4}
    kept = json.loads(Path(".torchdx/trials/a-L01/trial.json").read_text())
    assert kept["interrupted"]
    assert sum(len(arm["values"]) for arm in kept["arms"]) in {3, 4}
    again = tried("L01", "--seeds", "1")
    assert "3 kept from before" in again.out
    assert len(again.runs) == 5


def _below(pid: int) -> list[int]:
    """All processes that a process has started, and these."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found + [below for each in found for below in _below(each)]


def test_no_line_is_wider_than_the_terminal(here, monkeypatch):
    program(text())
    for width in (100, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        said = tried("L01", "--seeds", "1", "--steps", "12")
        lines = [line for line in said.out.splitlines() if " of 5 runs" not in line]
        assert max(map(len, lines)) <= width
        header = next(line.split() for line in lines if line.split()[:1] == ["arm"])
        assert ("from" in header) == (width == 100)


# -- heavier ---------------------------------------------------------------------------------------

LIGHTNING = """
import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(10, 4)

    def training_step(self, batch, i):
        return torch.nn.functional.cross_entropy(self.net(batch[0]).softmax(1), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)

L.seed_everything(0)
x = torch.randn(512, 10)
data = TensorDataset(x, (x @ torch.randn(10, 4)).argmax(1))
trainer = L.Trainer(max_epochs=3, accelerator="cpu", enable_progress_bar=False)
trainer.fit(Net(), DataLoader(data, batch_size=64, shuffle=True))
"""

TRAINER = """
import torch
from transformers import Trainer, TrainingArguments, set_seed

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(10, 4)

    def forward(self, x, labels):
        scores = self.net(x).softmax(1)
        return {"loss": torch.nn.functional.cross_entropy(scores, labels), "logits": scores}

set_seed(0)
x = torch.randn(512, 10)
y = (x @ torch.randn(10, 4)).argmax(1)
data = [{"x": row, "labels": int(label)} for row, label in zip(x, y)]
settings = TrainingArguments(output_dir="out", num_train_epochs=3, report_to=[], use_cpu=True,
                             per_device_train_batch_size=64, disable_tqdm=True, save_steps=10,
                             learning_rate=0.1, optim="sgd")
Trainer(Net(), settings, train_dataset=data).train()
"""


@pytest.mark.slow
@pytest.mark.parametrize("content", [LIGHTNING, TRAINER], ids=["lightning", "trainer"])
@pytest.mark.parametrize("steps", [None, 12])
def test_trainers_too(here, content, steps):
    program(content)
    said = tried("L01", "--seeds", "1", *(["--steps", str(steps)] if steps else []))
    assert not [run["error"] for run in said.runs.values() if run.get("error")]
    assert {run["made"] for run in said.runs.values()} == {steps or 24}
    assert said.runs["as it is", 0]["losses"] == said.runs["as it is, again", 0]["losses"]
    losses = {arm: run["scores"]["rows.loss"] for (arm, _), run in said.runs.items()}
    assert losses["treated"] < losses["as it is"] - 0.02
    assert "L01" not in said.runs["treated", 0]["codes"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_the_same_numbers(here):
    import joblib

    distributed = pytest.importorskip("distributed")
    program(text())
    alone = tried("L01", "--seeds", "2")
    (here / ".torchdx/trials").rename(here / "alone")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=here / "dask"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        spread = tried("L01", "--seeds", "2", "-j", "2")
    assert set(spread.runs) == set(alone.runs)
    for which, run in alone.runs.items():
        other = spread.runs[which]
        assert (other["losses"], other["codes"][:1]) == (run["losses"], run["codes"][:1])
        rows = {name: v for name, v in run["scores"].items() if name != "step.seconds"}
        assert rows == {name: other["scores"][name] for name in rows}
