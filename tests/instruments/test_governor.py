import pytest
import torch
from torch import nn

from tests.support import observed
from torchdx.instruments import governor
from torchdx.instruments.governor import AFTER_ALARM, FIRST, Governor, Level


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    told = Clock()
    monkeypatch.setattr(governor, "time", told)
    return told


def run(clock, *, budget, steps, plain_s=0.01, sample_s=0.02, first=1, chooser=None):
    """Levels of the steps, where a full sample costs `sample_s`, and the time that they took."""
    chooser = chooser or Governor(budget)
    levels, spent, level = [], 0.0, Level.FULL
    for step in range(first, first + steps):
        own = {Level.FULL: sample_s, Level.CHEAP: sample_s / 10, Level.NONE: 0.0}[level]
        clock.now += plain_s + own
        spent += own
        level = chooser.next(step, spent)
        levels.append(level)
    return levels, spent


def test_the_first_steps_are_measured_fully(clock):
    levels, _ = run(clock, budget=0.0, steps=FIRST + 5)
    assert levels[:FIRST] == [Level.FULL] * FIRST


def test_without_a_budget_no_more_than_the_grace_is_used(clock):
    levels, _ = run(clock, budget=0.0, steps=5_000, sample_s=0.3)
    assert sum(level is Level.FULL for level in levels[FIRST:]) <= 3


def test_a_budget_holds_over_a_long_run(clock):
    levels, spent = run(clock, budget=0.02, steps=20_000, sample_s=0.05)
    beside = FIRST * 0.05 + 2 * governor.GRACE_S
    assert spent - beside <= 0.02 * 20_000 * 0.01
    assert sum(level is Level.FULL for level in levels[FIRST:]) > 10


def test_samples_become_rarer_with_the_logarithm_of_the_steps(clock):
    levels, _ = run(clock, budget=1.0, steps=20_000, sample_s=1e-6)
    early = sum(level is Level.FULL for level in levels[:2_000])
    late = sum(level is Level.FULL for level in levels[-2_000:])
    assert late < early / 10


def test_steps_after_an_alarm_are_measured_fully(clock):
    chooser = Governor(0.0)
    run(clock, budget=0.0, steps=3_000, sample_s=0.5, chooser=chooser)
    chooser.alarm()
    levels, _ = run(clock, budget=0.0, steps=20, first=3_001, sample_s=0.5, chooser=chooser)
    assert levels[:AFTER_ALARM] == [Level.FULL] * AFTER_ALARM
    assert Level.NONE in levels[AFTER_ALARM:]


def test_costs_that_our_own_clock_does_not_see_are_counted(clock):
    """Sampled steps last three times what our clock says: the correction tells."""
    chooser, spent, level = Governor(0.5), 0.0, Level.FULL
    for step in range(1, 2_000):
        own = 0.01 if level is Level.FULL else 0.0
        clock.now += 0.01 + 3 * own
        spent += own
        level = chooser.next(step, spent)
    assert chooser.correction == pytest.approx(3.0, rel=0.05)


def clients(count, steps):
    """Models that learn one after another, each a few steps with an optimizer of its own."""

    def program():
        torch.manual_seed(0)
        for _ in range(count):
            model = nn.Linear(4, 2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for _ in range(steps):
                optimizer.zero_grad()
                model(torch.randn(8, 4)).square().mean().backward()
                optimizer.step()

    return program


def test_models_that_learn_one_after_another_share_the_first_steps(tmp_path):
    record = observed(clients(30, 20), tmp_path / "run.dx")
    sampled = record.end["sampled"]
    assert sum(sampled.values()) > 30 * 19 - 1
    assert sampled["full"] < 100
    assert sampled["none"] > 200
    assert len(record.looks_of(1)) > len(record.looks_of(30)) > 0


def test_an_optimizer_that_steps_more_seldom_makes_no_cycle_of_its_own(tmp_path):
    def program():
        torch.manual_seed(0)
        often, seldom = nn.Linear(4, 2), nn.Linear(4, 2)
        optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (often, seldom)]
        for step in range(30):
            for model, optimizer in zip((often, seldom), optimizers, strict=True):
                if model is often or step % 5 == 4:
                    optimizer.zero_grad()
                    model(torch.randn(8, 4)).square().mean().backward()
                    optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    assert sum(record.end["sampled"].values()) == 30
