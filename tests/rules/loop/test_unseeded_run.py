import os
import subprocess
import sys

import torch

from tests.rules.loop.pieces import net, sgd, step
from tests.support import answers, findings, observed
from torchdx.record.index import runs
from torchdx.record.reader import read

SCRIPT = """
import sys
import torch
if "--seed" in sys.argv:
    torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    loss = model(torch.ones(3, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def record_of(tmp_path, previous, *, seeded=False):
    def program():
        if seeded:
            torch.manual_seed(0)
        model = net()
        optimizer = sgd(model)
        for _ in range(3):
            step(model, optimizer)

    record = observed(program, tmp_path / "run.dx")
    record.meta["previous"] = previous
    return record


def test_another_first_loss_than_in_the_run_before_is_noted(tmp_path):
    (note,) = findings("T13", record_of(tmp_path, {"run": "train-1", "first_loss": 9.25}))
    assert note.severity == "note"
    assert "9.25 in the run before (train-1)" in note.text


def test_the_run_before_is_found_through_the_records_on_disk(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    for arguments in ([], [], ["--seed"]):
        start = [sys.executable, "-m", "torchdx", "run", "-q", str(script), *arguments]
        subprocess.run(start, cwd=tmp_path, check=True, env=dict(os.environ))
    first, second, seeded = (read(path) for path in runs(tmp_path / ".torchdx"))
    assert answers("T13", first) == []
    assert answers("T13", seeded) == []  # other arguments, and a seed
    (note,) = findings("T13", second)
    assert first.meta["run"] in note.text


def test_a_seeded_run_is_silent(tmp_path):
    record = record_of(tmp_path, {"run": "train-1", "first_loss": 9.25}, seeded=True)
    assert answers("T13", record) == []


def test_the_same_first_loss_is_silent(tmp_path):
    record = record_of(tmp_path, {})
    same = next(iter(record.optimizers.values())).first_loss
    record.meta["previous"] = {"run": "train-1", "first_loss": same}
    assert answers("T13", record) == []


def test_without_a_run_before_there_is_nothing_to_say(tmp_path):
    assert answers("T13", record_of(tmp_path, {})) == []
