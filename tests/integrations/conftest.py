"""The runs that every exporter is given."""

import pytest
import torch
from torch import nn

from tests.integrations.records import ENTRIES, material_of, written
from tests.support import observed


@pytest.fixture
def record(tmp_path):
    """Two optimizers, odd names, values that are not finite; whole."""
    return written(tmp_path / "odd.dx", *ENTRIES)


@pytest.fixture
def material(record):
    return material_of(record)


@pytest.fixture
def empty(tmp_path):
    """A process that never trained."""
    return material_of(written(tmp_path / "empty.dx", {"e": "meta", "pid": 8}))


@pytest.fixture
def torn(tmp_path):
    """Killed, and torn inside its last frame."""
    path = written(tmp_path / "torn.dx", *ENTRIES, end=False)
    with path.open("ab") as file:
        file.write(b"dx\x01")
    return material_of(path)


@pytest.fixture
def sick(tmp_path):
    """A real run with one finding."""
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(16, 6), torch.arange(16) % 4

    def train():
        for _ in range(12):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x).softmax(1), y).backward()
            optimizer.step()

    observed(train, tmp_path / "sick.dx")
    return material_of(tmp_path / "sick.dx")
