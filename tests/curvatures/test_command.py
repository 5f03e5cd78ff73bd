import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from torchdx.cli import torchdx
from torchdx.errors import CallError

PARTS = """
import torch
from torch import nn

def parts(reduction="mean", optimizer=torch.optim.SGD):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    batch = torch.randn(32, 6), torch.randint(3, (32,))
    made = optimizer(net.parameters(), lr=0.1)
    return net, nn.CrossEntropyLoss(reduction=reduction), batch, made

def adam():
    return parts(optimizer=torch.optim.Adam)

def without():
    return parts()[:3]

def by_row():
    return parts(reduction="none")
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "parts_of_a_test.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)


def call(function, *options):
    place = f"parts_of_a_test.py:{function}"
    return CliRunner().invoke(torchdx, ["curvature", place, *options], standalone_mode=False)


def test_all_questions_are_answered_in_words():
    said = call("parts").output
    for head in ("eigenvalues of the Hessian", "next step", "step size: stable", "check: sound"):
        assert head in said


def test_as_json_every_answer_has_its_numbers():
    told = json.loads(call("parts", "--json").output)
    assert set(told) == {"extremes", "top", "step", "stability", "critical", "check"}
    highest = told["extremes"]["highest"]
    assert highest["low"] <= told["top"]["values"][0] <= highest["high"]


def test_without_an_optimizer_nothing_is_said_of_steps():
    told = json.loads(call("without", "--json").output)
    assert set(told) == {"extremes", "top", "critical", "check"}


def test_an_optimizer_without_scales_yet_says_so_and_the_rest_is_answered():
    said = call("adam").output
    assert "has not stepped with these parameters yet" in said
    assert "check: sound" in said


def test_what_cannot_be_examined_ends_with_one_message():
    error = call("by_row").exception
    assert isinstance(error, CallError)
    assert "needs a scalar loss, but the loss function gave (32,)" in str(error)
    assert Path("parts_of_a_test.py").exists()
