import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from tests.support import answers, findings, observed
from torchdx.record.model import Record
from torchdx.rules.speed.batch_against_noise import ALIKE, EXCESS, FALLING, FAR, HIGH, LARGER

GIVEN, ASKED = load_digits(return_X_y=True)
X = torch.tensor(GIVEN[:800], dtype=torch.float32) / 8 - 1
Y = torch.tensor(ASKED[:800])


def digits(rows, epochs, *, model=None, criterion=functional.cross_entropy, wanted=Y):
    def program():
        torch.manual_seed(0)
        net = model or nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(epochs):
            for rows_now in torch.randperm(len(X)).split(rows):
                optimizer.zero_grad()
                criterion(net(X[rows_now]), wanted[rows_now]).backward()
                optimizer.step()

    return program


def test_whole_passes_for_single_steps_are_found_while_the_loss_still_falls(tmp_path):
    (finding,) = findings("P04", observed(digits(800, 30), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "each of the 30 steps averages 800 rows" in finding.text
    assert finding.evidence[0].value > FAR
    assert 16 <= int(finding.prescriptions[0].to) <= 128
    assert finding.line.text == "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)"


def test_the_same_rows_in_smaller_batches_are_silent(tmp_path):
    assert answers("P04", observed(digits(32, 10), tmp_path / "run.dx")) == []


def test_a_whole_pass_a_step_is_silent_once_the_loss_has_come_down(tmp_path):
    assert answers("P04", observed(digits(800, 800), tmp_path / "run.dx")) == []


def run(
    *, rows=512, scale=50.0, losses=None, cls="SGD", rate=0.1, momentum=0.0, spread=1.0, heads=True
):
    """A run of 100 steps with a gradient of this noise scale."""
    record = Record()
    entry = {"e": "optimizer", "id": 1, "cls": cls, "step": 0, "params": [], "frozen": []}
    record.apply({**entry, "defaults": {"momentum": momentum}, "trained": {}, "line": None})
    record.apply({"e": "lr", "optimizer": 1, "step": 1, "lr": rate})
    shape = {"e": "shape", "id": 1, "optimizer": 1, "events": [["backward", None, 1]]}
    record.apply(shape)
    record.apply({"e": "places", "id": 1, "names": ["0"]})
    noise = {"noise.square": [spread / scale], "noise.spread": [spread], "noise.rows": [rows]}
    for step in range(2, 30, 3):
        signals = noise | ({"loss.head": [1.0]} if heads else {})
        record.apply({"e": "signals", "step": step, "places": 1, "v": signals})
    steps = list(range(1, 101))
    losses = losses or [2.0 - 0.015 * step for step in steps]
    record.apply({"e": "steps", "step": steps, "loss": losses})
    record.steps = record.optimizers[1].steps = 100
    return record


def course(first, third, last):
    """Losses that stand at these values in the first half, the third quarter and the last."""
    return [first] * 50 + [third] * 25 + [last] * 25


def test_the_batch_must_be_far_larger_than_the_noise_scale():
    def of(times, losses):
        return [f.severity for f in findings("P04", run(rows=times * 50, losses=losses))]

    middle, end = course(2.0, 1.3, 1.0), course(2.0, 1.15, 1.0)
    assert of(1.01 * FAR, end) == ["suspicion"]
    assert of(0.99 * FAR, end) == []
    assert of(1.01 * LARGER, middle) == ["note"]
    assert of(0.99 * LARGER, middle) == []


def test_a_loss_that_has_nearly_stopped_falling_is_silent():
    def of(share):
        return findings("P04", run(losses=course(2.0, 1.0 + share / (1 - share), 1.0)))

    assert len(of(1.05 * FALLING / (1 + FALLING))) == 1
    assert of(0.9 * FALLING / (1 + FALLING)) == []


def test_rows_that_all_pull_one_way_have_another_cause():
    assert len(findings("P04", run(scale=1.01 * ALIKE))) == 1
    assert findings("P04", run(scale=0.99 * ALIKE)) == []


def test_a_loss_below_zero_is_silent():
    assert findings("P04", run(losses=course(2.0, -1.0, -5.0))) == []


def test_micro_batches_of_a_step_count_together():
    record = run(rows=64, losses=course(2.0, 1.15, 1.0))
    assert findings("P04", record) == []
    events = [["backward", None, 1]] * 8
    record.apply({"e": "shape", "id": 1, "optimizer": 1, "events": events})
    assert "averages 512 rows" in findings("P04", record)[0].text


def small(**changed):
    stopped = course(2.0, 1.0, 1.0)
    return run(**{"rows": 2, "scale": 80.0, "spread": 25.0, "losses": stopped, **changed})


def test_noise_that_holds_the_loss_up_is_found():
    (finding,) = findings("P04", small())
    assert finding.severity == "suspicion"
    assert "a step of 2 rows is mostly noise (the noise scale is 80 rows)" in finding.text
    assert "31% of that is what this rate adds" in finding.text


def test_noise_of_small_batches_is_silent_where_it_costs_little():
    limit = EXCESS * 4 * 2 / 0.1
    assert len(findings("P04", small(spread=1.01 * limit))) == 1
    assert findings("P04", small(spread=0.99 * limit)) == []
    assert len(findings("P04", small(spread=limit / 5, momentum=0.9))) == 1
    assert findings("P04", small(losses=course(2.0, 1.0, 0.9))) == []
    low = course(2.0, 0.99 * HIGH * 2, 0.99 * HIGH * 2)
    assert findings("P04", small(losses=low)) == []
    assert findings("P04", small(rows=80 / FAR * 1.01)) == []
    assert findings("P04", small(cls="Adam")) == []


@pytest.mark.parametrize("cls", ["LBFGS", "two", "no head", "few"])
def test_what_cannot_be_judged_is_silent(cls):
    record = run(cls="LBFGS" if cls == "LBFGS" else "SGD", heads=cls != "no head")
    if cls == "two":
        entry = {"e": "optimizer", "id": 2, "cls": "SGD", "step": 0, "params": [], "frozen": []}
        record.apply({**entry, "defaults": {}, "trained": {}, "line": None})
        record.optimizers[2].steps = 100
    if cls == "few":
        record.losses = record.losses[:10]
    assert answers("P04", record) == []


def test_learning_from_own_answers_is_silent():
    record = run()
    phase = {"loader": 0, "step": 0, "batches": 1, "backwards": 0, "steps": 0, "line": None}
    rest = {"shuffled": False, "training": True, "active": 0, "no_grad": True, "rows": 0}
    for _ in range(60):
        record.apply({"e": "phase", **phase, **rest, "accuracy": None, "loss": None})
    assert answers("P04", record) == []
