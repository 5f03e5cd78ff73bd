import pytest
import torch
from torch.optim import lr_scheduler as lrs
from torch.optim.swa_utils import SWALR

from tests.rules.optimisation.epochs import epochs
from tests.support import answers, findings, observed


def milestones(optimizer):
    return lrs.MultiStepLR(optimizer, milestones=[2, 4], gamma=0.1)


def test_a_scheduler_that_never_steps_is_found_where_it_was_made(tmp_path):
    (finding,) = findings("O12", observed(lambda: epochs(milestones), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text.startswith("return lrs.MultiStepLR(")
    assert "MultiStepLR was never called in 60 optimizer steps and 5 epochs" in finding.text


def test_a_scheduler_made_anew_each_epoch_is_found(tmp_path):
    program = lambda: epochs(milestones, "epoch", rebuilt=True)  # noqa: E731
    (finding,) = findings("O12", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "was made anew 5 times for one optimizer" in finding.text


def test_a_scheduler_that_steps_is_silent(tmp_path):
    program = lambda: epochs(milestones, "epoch")  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_a_scheduler_in_a_chain_of_others_is_silent(tmp_path):
    def chain(optimizer):
        parts = [lrs.ConstantLR(optimizer, 1.0), lrs.ConstantLR(optimizer, 1.0)]
        return lrs.SequentialLR(optimizer, parts, milestones=[2])

    program = lambda: epochs(chain, "epoch")  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_a_scheduler_of_one_s_own_that_changes_the_rate_is_silent(tmp_path):
    class Halving(lrs.LRScheduler):
        def step(self, _epoch=None):
            for group in self.optimizer.param_groups:
                group["lr"] /= 2

    program = lambda: epochs(Halving, "epoch")  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_averaging_that_would_begin_later_is_silent(tmp_path):
    program = lambda: epochs(lambda o: SWALR(o, swa_lr=0.05))  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_a_decay_that_is_made_anew_but_goes_on_is_silent(tmp_path):
    program = lambda: epochs(lambda o: lrs.ExponentialLR(o, 0.5), "epoch", rebuilt=True)  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_three_epochs_without_a_step_are_suspected_and_one_says_nothing(tmp_path):
    three = lambda: epochs(milestones, count=3)  # noqa: E731
    assert [f.severity for f in findings("O12", observed(three, tmp_path / "3.dx"))] == [
        "suspicion"
    ]
    one = lambda: epochs(milestones, count=1, batches=30)  # noqa: E731
    assert not answers("O12", observed(one, tmp_path / "1.dx"))


def test_fewer_than_twenty_steps_say_nothing(tmp_path):
    program = lambda: epochs(milestones, count=4, batches=4)  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_scheduler_says_nothing(tmp_path):
    program = lambda: epochs(lambda _: None)  # noqa: E731
    assert not answers("O12", observed(program, tmp_path / "run.dx"))
    assert torch.is_grad_enabled()


def one_cycle(optimizer):
    return lrs.OneCycleLR(optimizer, max_lr=0.5, epochs=5, steps_per_epoch=12)


def cosine(optimizer):
    return lrs.CosineAnnealingLR(optimizer, T_max=60)


@pytest.mark.parametrize("make", [one_cycle, cosine])
def test_a_schedule_in_steps_that_is_advanced_once_an_epoch_is_found(make, tmp_path):
    (finding,) = findings("O12", observed(lambda: epochs(make, "epoch"), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "scheduler.step()"
    assert "is made for 60 steps, as many as the optimizer did" in finding.text
    assert "advanced only 5 times" in finding.text
    assert finding.prescriptions[0].to == "1"


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (one_cycle, "batch"),
        (cosine, "batch"),
        (lambda o: lrs.OneCycleLR(o, max_lr=0.5, total_steps=5), "epoch"),
        (lambda o: lrs.CosineAnnealingLR(o, T_max=50), "epoch"),  # ended before, or for longer
    ],
)
def test_a_schedule_advanced_at_its_own_pace_is_silent(make, step, tmp_path):
    assert not answers("O12", observed(lambda: epochs(make, step), tmp_path / "run.dx"))


def test_a_schedule_is_not_behind_before_the_run_is_over(tmp_path):
    record = observed(lambda: epochs(one_cycle, "epoch"), tmp_path / "run.dx")
    record.events = [event for event in record.events if event.kind != "schedules-over"]
    assert not answers("O12", record)
