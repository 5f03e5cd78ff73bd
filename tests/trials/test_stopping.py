"""A program ends after so many steps, whatever it catches."""

import contextlib
import gc
import json
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from torchdx.treatments.site import Site
from torchdx.trials import stopping
from torchdx.trials.stopping import Enough, Stopping


@pytest.fixture(autouse=True)
def _tests_go_on(monkeypatch):
    def refused(status: int) -> None:
        pytest.fail(f"ended with status {status}")

    monkeypatch.setattr(stopping.os, "_exit", refused)


@pytest.fixture
def site():
    opened = Site()
    yield opened
    opened.close()


class Loop:
    """A net and its optimizer; `step` makes one step."""

    def __init__(self) -> None:
        self.net = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        self.made = 0

    def step(self) -> None:
        self.net(torch.ones(2)).sum().backward()
        self.made += 1  # the last one, too, is made
        self.optimizer.step()


def test_it_ends_within_the_last_step_and_exceptions_do_not_catch_it(site):
    stop, loop = Stopping(site, 3, lambda: None), Loop()

    def program() -> None:
        for _ in range(9):
            with contextlib.suppress(Exception):
                loop.step()

    with pytest.raises(Enough):
        program()
    assert (loop.made, stop.made, stop.raised) == (3, 3, 1)


def test_none_is_asked_for_with_0(site):
    stop, loop = Stopping(site, 0, lambda: None), Loop()
    for _ in range(9):
        loop.step()
    assert (stop.made, stop.raised) == (9, 0)


def test_the_optimizer_that_steps_most_counts(site):
    stop, often, seldom = Stopping(site, 4, lambda: None), Loop(), Loop()

    def program() -> None:
        for i in range(9):
            often.step()
            if i % 2:
                seldom.step()

    with pytest.raises(Enough):
        program()
    assert (often.made, seldom.made, stop.made) == (4, 1, 4)


def test_folds_with_an_optimizer_each_are_not_added_up(site):
    stop = Stopping(site, 4, lambda: None)
    for _ in range(6):
        loop = Loop()
        for _ in range(3):
            loop.step()
        del loop
        gc.collect()  # the next may have its place in memory
    assert (stop.made, stop.raised) == (3, 0)


def test_a_bare_except_is_ended_the_hard_way(site, monkeypatch):
    ended = []
    monkeypatch.setattr(stopping.os, "_exit", lambda status: ended.append(("exit", status)))
    stop, loop = Stopping(site, 2, lambda: ended.append("written")), Loop()

    def program() -> None:
        while True:
            try:
                loop.step()
            except:  # noqa: E722
                if ended:
                    raise

    with pytest.raises(Enough):
        program()
    assert ended == ["written", ("exit", 0)]
    assert loop.made == 2 + stopping.SWALLOWED
    assert stop.raised == stopping.SWALLOWED + 1


LIGHTNING = """
import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 2)

    def training_step(self, batch, i):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

data = TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
trainer = L.Trainer(max_epochs=50, accelerator="cpu", logger=False, enable_progress_bar=False,
                    enable_checkpointing=False, enable_model_summary=False)
trainer.fit(Net(), DataLoader(data, batch_size=8))
print("not ended")
"""

TRAINER = """
import torch
from transformers import Trainer, TrainingArguments

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 2)

    def forward(self, x, labels):
        scores = self.net(x)
        return {"loss": torch.nn.functional.cross_entropy(scores, labels), "logits": scores}

data = [{"x": torch.randn(4), "labels": i % 2} for i in range(64)]
settings = TrainingArguments(output_dir="out", num_train_epochs=50, report_to=[], use_cpu=True,
                             per_device_train_batch_size=8, disable_tqdm=True, save_strategy="no")
Trainer(Net(), settings, train_dataset=data).train()
print("not ended")
"""

AROUND = """
import json, os, sys
from torchdx.treatments.site import Site
from torchdx.trials.stopping import Enough, Stopping

site = Site()
stop = Stopping(site, 12, lambda: None)
text = sys.stdin.read()
try:
    exec(compile(text, "program.py", "exec"), {"__name__": "__main__"})
except Enough:
    print(json.dumps({"made": stop.made, "raised": stop.raised}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [LIGHTNING, TRAINER], ids=["lightning", "trainer"])
def test_trainers_end_there_too(program, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", AROUND],
        input=textwrap.dedent(program),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=240,
    )
    assert "not ended" not in ended.stdout
    assert json.loads(ended.stdout.strip().splitlines()[-1]) == {"made": 12, "raised": 1}, ended
