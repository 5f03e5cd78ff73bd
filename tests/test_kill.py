"""A training run killed at any moment leaves a record that can be read up to its last flush."""

import os
import random
import signal
import time
from pathlib import Path

import torch
from torch import nn

from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.reader import read
from torchdx.record.writer import Writer


def train_for_ever(path: Path) -> None:
    """Watched training, in a process of its own."""
    torch.set_num_threads(1)
    observer = Observer(Recorder(Writer(path)))
    observer.start()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    while True:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(16, 8)), torch.randint(0, 3, (16,)))
        loss.backward()
        optimizer.step()


def test_every_record_of_25_killed_runs_can_be_read(tmp_path):
    chance = random.Random(3)
    steps = []
    for turn in range(25):
        path = tmp_path / f"run{turn}.dx"
        child = os.fork()
        if child == 0:
            try:
                train_for_ever(path)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.05, 0.8))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if path.exists():
            record = read(path)
            assert record.end == {}
            steps.append(max((step for step, _ in record.losses), default=0))
    assert len(steps) >= 15, "most were killed after their first flush"
    assert max(steps) >= 50  # entries of a flush
