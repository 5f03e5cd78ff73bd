"""`torchdx watch`, as a person at another terminal meets it: real runs, real terminals."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from torchdx.record.following import Follower
from torchdx.record.index import FOLDER
from torchdx.record.model import Record
from torchdx.record.writer import Writer
from torchdx.report.watching import Asking

PROGRAM = """
import sys, time, torch
from torch import nn
model = nn.Sequential(nn.Linear(6, 4), nn.Softmax(1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.arange(16) % 4).backward()
    optimizer.step()
    time.sleep(0.02)
"""
WATCH = [sys.executable, "-m", "torchdx", "watch"]


def started(folder: Path, steps: int) -> subprocess.Popen:
    """A run under observation, in a process of its own."""
    (folder / "train.py").write_text(PROGRAM)
    call = [sys.executable, "-m", "torchdx", "run", "-q", "train.py", str(steps)]
    return subprocess.Popen(call, cwd=folder)


def going_on(folder: Path, name: str = "train") -> Writer:
    """A record that this process is writing."""
    writer = Writer(folder / FOLDER / f"{name}.dx")
    writer.append({"e": "meta", "pid": os.getpid(), "argv": ["train.py"]})
    writer.append({"e": "steps", "step": [1, 2], "loss": [2.5, 2.25]}, now=True)
    return writer


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, call: list[str], folder: Path, **variables: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        kept = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
        env = kept | {"TERM": "xterm-256color"} | variables
        ends = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen(call, cwd=folder, env=env, start_new_session=True, **ends)
        self.said = ""

    def until(self, words: str) -> None:
        """Read until something has been said."""
        deadline = time.monotonic() + 30
        while words not in self.said:
            assert time.monotonic() < deadline, self.said[-2000:]
            self._read()

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def end(self) -> int:
        """Its exit status; all that it said is in `said`, and the terminal is as before."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
            self._read()
        self._read()
        assert termios.tcgetattr(self._slave) == self.before
        os.close(self._master)
        os.close(self._slave)
        assert "Traceback" not in self.said
        return self.process.returncode

    def _read(self) -> None:
        while select.select([self._master], [], [], 0.1)[0]:
            self.said += os.read(self._master, 65_536).decode(errors="replace")


def test_q_leaves_a_run_that_goes_on(tmp_path):
    going_on(tmp_path)
    terminal = Terminal(WATCH, tmp_path)
    terminal.until("2.25")
    terminal.press("x")
    terminal.press("q")
    assert terminal.end() == 0
    assert "The run goes on (step 2)" in terminal.said
    assert "\x1b[?1049l" in terminal.said, "the screen is given back"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_gives_the_terminal_back(tmp_path, number, status):
    going_on(tmp_path)
    terminal = Terminal(WATCH, tmp_path)
    terminal.until("2.25")
    os.kill(terminal.process.pid, number)
    assert terminal.end() == status
    assert "\x1b[?1049l" in terminal.said


def test_it_waits_for_a_record_that_does_not_exist_yet(tmp_path):
    terminal = Terminal([*WATCH, "train"], tmp_path)
    terminal.until("waiting for the record train")
    writer = going_on(tmp_path)
    terminal.until("2.25")
    writer.append({"e": "end", "status": 0}, now=True)
    assert terminal.end() == 0
    assert "nothing found, but little was seen" in terminal.said


def test_there_is_no_colour_where_none_is_wanted(tmp_path):
    going_on(tmp_path)
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal = Terminal(WATCH, tmp_path, **variables)
        terminal.until("2.25")
        terminal.press("q")
        terminal.end()
        assert ("\x1b[1;35m" in terminal.said) is coloured


def test_a_run_that_had_ended_is_told_and_how_to_wait_for_the_next(tmp_path):
    writer = going_on(tmp_path)
    writer.append({"e": "end", "status": 0}, now=True)
    done = subprocess.run(WATCH, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "torchdx watch --next" in done.stdout
    call = [*WATCH, "--next"]
    with subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        assert "waiting for a record in .torchdx" in run.stdout.readline()
        going_on(tmp_path, "another").append({"e": "end", "status": 0}, now=True)
        said = run.communicate(timeout=30)[0]
    assert "another.dx" in said
    assert run.returncode == 0


def test_what_is_no_record_is_told_in_one_message(tmp_path):
    (tmp_path / "text.dx").write_text("a text that is no record")
    done = subprocess.run(
        [*WATCH, "text.dx"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "not a torchdx record" in done.stderr
    assert "Traceback" not in done.stderr


def test_rules_are_asked_when_the_record_has_grown_and_not_too_often(monkeypatch):
    clock, asked = [100.0], []
    monkeypatch.setattr("torchdx.report.watching.time.monotonic", lambda: clock[0])

    def diagnose(record, *, live):
        asked.append(live)
        clock[0] += 1.0  # it takes a second

    monkeypatch.setattr("torchdx.report.watching.diagnose", diagnose)
    asking, record = Asking(), Record()
    assert not asking.ask(record), "nothing to judge"
    record.backwards = 1
    assert asking.ask(record)
    record.backwards = 2
    clock[0] += 10.0
    assert not asking.ask(record), "too soon after a judgement that took so long"
    clock[0] += 11.0
    assert asking.ask(record)
    clock[0] += 1000.0
    assert not asking.ask(record), "nothing new"
    assert asked == [True, True]


@pytest.mark.slow
def test_without_a_terminal_it_prints_lines_until_the_run_ends(tmp_path):
    with subprocess.Popen(WATCH, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as watching:
        with started(tmp_path, 150) as run:
            assert run.wait() == 0
        said = watching.communicate(timeout=30)[0]
    lines = said.splitlines()
    assert watching.returncode == 0
    assert "waiting for a record in .torchdx" in lines[0]
    assert any(line.startswith("step ") and "loss" in line for line in lines)
    assert "  dx  ✗ L01 softmax-before-cross-entropy  fault  train.py:8" in lines
    assert said.index("  dx  ✗ L01") < said.index("torchdx train.py · 150 steps")
    assert "\x1b" not in said


@pytest.mark.slow
def test_a_killed_run_is_told_on_the_screen_and_ends_it(tmp_path):
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(started(tmp_path, 100_000))
        terminal = Terminal(WATCH, tmp_path)
        terminal.until("L01 softmax-before-cross-entropy")
        run.kill()
        run.wait()
        assert terminal.end() == 1
    assert f"its process ({run.pid}) is gone without having ended" in terminal.said
    with Follower(next((tmp_path / FOLDER).glob("*.dx"))) as follower:
        follower.poll()
        assert follower.state == "gone"
