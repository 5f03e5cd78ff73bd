import pytest
from torch.optim import lr_scheduler as lrs

from tests.rules.optimisation.epochs import epochs
from tests.support import answers, findings, observed

STEPS = 60  # of a run of five epochs of twelve batches


def decay(optimizer, size=4):
    return lrs.StepLR(optimizer, step_size=size, gamma=0.1)


def test_a_step_decay_at_every_batch_is_found_with_the_rates(tmp_path):
    (finding,) = findings("O11", observed(lambda: epochs(decay, "batch"), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "scheduler.step()"
    assert "StepLR was advanced after every batch (60 calls)" in finding.text
    assert "from 0.1 to 1e-15" in finding.text
    assert "of 60 on it was below a thousandth" in finding.text


def test_a_cosine_over_the_epochs_at_every_batch_is_found(tmp_path):
    program = lambda: epochs(lambda o: lrs.CosineAnnealingLR(o, T_max=5), "batch")  # noqa: E731
    (finding,) = findings("O11", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "took the rate down and up 6 times in 5 epochs" in finding.text


def test_a_cosine_with_other_lengths_within_an_epoch_is_only_suspected(tmp_path):
    program = lambda: epochs(lambda o: lrs.CosineAnnealingLR(o, T_max=6), "batch")  # noqa: E731
    (finding,) = findings("O11", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    wider = lambda: epochs(lambda o: lrs.CosineAnnealingLR(o, T_max=7), "batch")  # noqa: E731
    assert not answers("O11", observed(wider, tmp_path / "wider.dx"))


@pytest.mark.parametrize(
    "make",
    [decay, lambda o: lrs.CosineAnnealingLR(o, T_max=5), lambda o: lrs.ExponentialLR(o, 0.1)],
)
def test_the_same_schedules_once_per_epoch_are_silent(tmp_path, make):
    assert not answers("O11", observed(lambda: epochs(make, "epoch"), tmp_path / "run.dx"))


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lrs.OneCycleLR(o, max_lr=0.5, total_steps=STEPS),
        lambda o: lrs.CosineAnnealingLR(o, T_max=STEPS),
        lambda o: lrs.CosineAnnealingWarmRestarts(o, T_0=6),
        lambda o: lrs.CyclicLR(o, base_lr=1e-4, max_lr=0.5, step_size_up=3),
        lambda o: lrs.LinearLR(o, start_factor=0.1, total_iters=6),
        lambda o: lrs.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=STEPS),
        lambda o: lrs.LambdaLR(o, lambda step: min(1, step / 6) * (1 - step / (STEPS + 1))),
        lambda o: lrs.StepLR(o, step_size=20, gamma=0.1),
        lambda o: lrs.ExponentialLR(o, 0.95),
    ],
)
def test_schedules_made_for_steps_are_silent_at_every_batch(tmp_path, make):
    assert not answers("O11", observed(lambda: epochs(make, "batch"), tmp_path / "run.dx"))


def test_a_rate_that_dies_in_the_first_half_is_told_and_one_in_the_second_is_not(tmp_path):
    early = lambda: epochs(lambda o: decay(o, 7), "batch")  # noqa: E731
    late = lambda: epochs(lambda o: decay(o, 8), "batch")  # noqa: E731
    assert findings("O11", observed(early, tmp_path / "early.dx"))
    assert not answers("O11", observed(late, tmp_path / "late.dx"))


def test_one_batch_per_epoch_makes_a_step_an_epoch(tmp_path):
    program = lambda: epochs(decay, "batch", count=40, batches=1)  # noqa: E731
    assert not answers("O11", observed(program, tmp_path / "run.dx"))


def test_nineteen_steps_are_too_few(tmp_path):
    program = lambda: epochs(lambda o: decay(o, 1), "batch", count=1, batches=19)  # noqa: E731
    assert not answers("O11", observed(program, tmp_path / "run.dx"))
