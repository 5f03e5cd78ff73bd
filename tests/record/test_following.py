"""A record is read while it grows: piece by piece the same as all at once."""

import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support import observed
from torchdx.errors import RecordError
from torchdx.record.following import Follower, newest
from torchdx.record.reader import read
from torchdx.record.schema import HEADER
from torchdx.record.writer import Writer


def train() -> None:
    """Forty steps of a small net."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.arange(16) % 4).backward()
        optimizer.step()


def begun(path: Path, *, pid: int | None = None, host: str = platform.node()) -> Writer:
    """A record of which the beginning is written, by this process or another."""
    writer = Writer(path)
    writer.append({"e": "meta", "pid": pid or os.getpid(), "host": host}, now=True)
    return writer


@pytest.mark.parametrize("seed", range(5))
def test_a_record_read_in_pieces_is_the_record_read_at_once(tmp_path, seed):
    whole = observed(train, tmp_path / "whole.dx")
    data, chance = (tmp_path / "whole.dx").read_bytes(), random.Random(seed)
    path = tmp_path / "growing.dx"
    follower = Follower(path)
    with follower, path.open("wb", buffering=0) as file:
        while data:
            size = int(10 ** chance.uniform(0, 4))
            file.write(data[:size])
            data = data[size:]
            follower.poll()
            assert follower.record.torn_bytes == 0, "it may still be written"
        same = follower.record == whole  # a bare assert would print both
        assert same
        assert follower.state == "ended"


def test_nothing_new_is_told_apart_from_something_new(tmp_path):
    follower = Follower(tmp_path / "run.dx")
    assert not follower.poll()
    assert follower.state == "waiting"
    writer = begun(tmp_path / "run.dx")
    versions = {follower.version}
    assert follower.poll()
    assert not follower.poll()
    assert follower.state == "running"
    versions.add(follower.version)
    writer.append({"e": "end", "status": 0}, now=True)
    assert follower.poll()
    assert follower.state == "ended"
    assert len(versions | {follower.version}) == 3


def test_another_run_at_the_same_path_makes_a_new_record(tmp_path):
    path = tmp_path / "run.dx"
    first = begun(path)
    first.append({"e": "end", "status": 3}, now=True)
    follower = Follower(path)
    follower.poll()
    path.unlink()
    assert not follower.poll(), "what was read stays as long as nothing else is there"
    assert follower.record.end["status"] == 3
    begun(path, pid=1)
    assert follower.poll()
    assert (follower.record.end, follower.record.meta["pid"]) == ({}, 1)


@pytest.mark.parametrize("longer", [False, True])
def test_a_file_written_anew_in_place_is_read_from_its_beginning(tmp_path, longer):
    path, other = tmp_path / "run.dx", tmp_path / "other.dx"
    writer = begun(path)
    for number in range(10):
        writer.append({"e": "reached", "params": [f"old{number}"]}, now=True)
    follower = Follower(path)
    follower.poll()
    writer = begun(other, pid=1)
    for number in range(100 if longer else 3):
        writer.append({"e": "reached", "params": [f"new{number}"]}, now=True)
    path.write_bytes(other.read_bytes())
    assert follower.poll()
    same = follower.record == read(other)
    assert same


def test_a_file_that_is_only_just_made_is_waited_for(tmp_path):
    path = tmp_path / "run.dx"
    whole = tmp_path / "whole.dx"
    begun(whole)
    follower = Follower(path)
    for end in (0, 5, HEADER.size, HEADER.size + 3):
        path.write_bytes(whole.read_bytes()[:end])
        follower.poll()
        assert follower.state == "waiting"
    path.write_bytes(whole.read_bytes())
    follower.poll()
    assert follower.state == "running"


@pytest.mark.parametrize("data", [b"foo", b"a text that is no record at all"])
def test_what_is_no_record_is_refused(tmp_path, data):
    (tmp_path / "run.dx").write_bytes(data)
    with pytest.raises(RecordError, match="not a torchdx record"):
        Follower(tmp_path / "run.dx").poll()


def test_a_killed_writer_is_gone_and_leaves_torn_bytes(tmp_path):
    path = tmp_path / "run.dx"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    begun(path, pid=child.pid)
    with path.open("ab") as file:
        file.write(b"dx\x01")
    follower = Follower(path, quiet_s=0.0)
    time.sleep(0.05)
    follower.poll()
    assert (follower.state, follower.record.torn_bytes) == ("running", 0)
    child.kill()
    child.wait()
    assert follower.poll()
    assert (follower.state, follower.record.torn_bytes) == ("gone", 3)


@pytest.mark.parametrize("pid", [1 << 22, None])
def test_a_writer_on_another_machine_is_never_said_to_be_gone(tmp_path, pid):
    begun(tmp_path / "run.dx", pid=pid or os.getpid(), host="elsewhere")
    follower = Follower(tmp_path / "run.dx", quiet_s=0.0)
    time.sleep(0.05)
    follower.poll()
    assert (follower.state, follower.alive) == ("running", None)
    assert follower.silent_s > 0


def test_the_newest_record_that_goes_on_comes_before_newer_ones_that_ended(tmp_path):
    assert newest(tmp_path) is None
    for age, name in ((30, "on"), (20, "other-on"), (10, "ended")):
        writer = begun(tmp_path / f"{name}.dx")
        if name == "ended":
            writer.append({"e": "end", "status": 0}, now=True)
        os.utime(writer.path, (time.time() - age, time.time() - age))
    (tmp_path / "foreign.dx").write_bytes(b"no record")
    assert newest(tmp_path) == tmp_path / "other-on.dx"


PROGRAM = """
import time, torch
from torch import nn
model = nn.Linear(6, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(150):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.arange(16) % 4).backward()
    optimizer.step()
    time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_real_run_is_followed_from_before_it_begins_to_its_end(tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    call = [sys.executable, "-m", "torchdx", "run", "-q", "--record", "run.dx", "train.py"]
    follower = Follower(tmp_path / "run.dx")
    seen: list[int] = []
    with subprocess.Popen(call, cwd=tmp_path) as run:
        while follower.state != "ended":
            assert run.poll() in (None, 0)
            if follower.poll():
                seen.append(len(follower.record.losses))
            time.sleep(0.02)
    assert len(set(seen)) > 3, "it was seen to grow"
    same = follower.record == read(tmp_path / "run.dx")
    assert same
    assert follower.record.steps == 150
    assert [steps for _, steps in follower.record.pace][-1] == 150
