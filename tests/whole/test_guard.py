"""Our own failures: none reaches the program, and none leaves a hook behind."""

import gc
import weakref

import pytest
import torch
from torch import nn

from torchdx.events import hooks
from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.writer import Writer


class BrokenError(Exception):
    """A defect of ours."""


def breaks(*_args, **_kwargs):
    raise BrokenError


@pytest.fixture
def observer(tmp_path):
    made = Observer(Recorder(Writer(tmp_path / "run.dx")))
    yield made
    made.stop()


def own() -> list:
    return [torch.autograd.backward, torch.no_grad.__enter__, nn.Module.train, torch.Tensor.item]


def train() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model(torch.ones(1, 2))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()


@pytest.mark.parametrize(
    "path",
    [
        "losses.step", "speed.timing.gradients", "stretches.end", "sightings.backward",
        "loop.step", "lens._sampling.called",
    ],
)  # fmt: skip
def test_a_defect_anywhere_ends_the_observation_alone(observer, path):
    before = own()
    observer.start()
    *owners, name = path.split(".")
    owner = observer._kit
    for part in owners:
        owner = getattr(owner, part)
    setattr(owner, name, breaks)
    train()
    assert observer.failure.startswith("BrokenError")
    assert own() == before


def test_a_defect_while_ending_keeps_no_other_hook_in_place(observer):
    before = own()
    observer.start()
    observer._kit.nonfinite.end = observer._kit.losses.step = breaks
    train()
    assert observer.failure.startswith("BrokenError")
    assert own() == before


def test_a_writer_that_fails_ends_the_observation_alone(observer):
    observer.start()
    observer.recorder.writer.append = observer.recorder.writer.tick = breaks
    train()
    assert observer.failure.startswith("BrokenError")


def test_hooks_that_cannot_all_be_put_in_place_are_taken_away(observer, monkeypatch):
    before = own()
    monkeypatch.setattr(hooks, "_leaving", breaks)
    with pytest.raises(BrokenError):
        observer.start()
    assert own() == before


def test_an_observer_that_has_ended_is_let_go(tmp_path):
    observer = Observer(Recorder(Writer(tmp_path / "run.dx")))
    observer.start()
    train()
    observer.finish()
    held = weakref.ref(observer)
    del observer
    gc.collect()
    assert held() is None


def test_tensors_that_are_given_one_by_one_reach_backward_all(observer):
    observer.start()
    weight = torch.ones(2, requires_grad=True)
    torch.autograd.backward(loss for loss in (weight[0] * 2, weight[1] * 3))
    assert weight.grad.tolist() == [2, 3]
    assert observer.failure is None
