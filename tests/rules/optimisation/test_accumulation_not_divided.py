import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed, unclear

K = 4


def run(loss, *, groups=4, make=torch.optim.SGD, before_step=lambda _model: None):
    """Steps of one optimizer, each after `K` batches."""
    rows = 2 * K * groups
    loader = DataLoader(TensorDataset(inputs(rows), labels(rows)), batch_size=2)
    model = net()
    optimizer = make(model.parameters(), lr=0.01)
    for number, (x, y) in enumerate(loader, start=1):
        loss(model(x), y).backward()
        if number % K == 0:
            before_step(model)
            optimizer.step()
            optimizer.zero_grad()


def clip(model):
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def divide(model):
    for parameter in model.parameters():
        parameter.grad /= K


def test_four_batches_that_are_added_up_are_suspected_at_backward(tmp_path):
    (finding,) = findings("O14", observed(lambda: run(F.cross_entropy), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.line.text == "loss(model(x), y).backward()"
    assert "adds the gradients of 4 batches" in finding.text
    assert finding.prescriptions[0].to == "1/4"


@pytest.mark.parametrize(
    "loss",
    [
        lambda p, y: F.cross_entropy(p, y) / K,
        lambda p, y: 0.25 * F.cross_entropy(p, y),
        lambda p, y: F.cross_entropy(p, y, reduction="sum"),
        lambda p, y: F.cross_entropy(p, y) * 65536.0,
    ],
)
def test_losses_that_are_divided_summed_or_scaled_are_silent(tmp_path, loss):
    assert not answers("O14", observed(lambda: run(loss), tmp_path / "run.dx"))


def test_gradients_divided_by_hand_before_the_step_are_silent(tmp_path):
    program = lambda: run(F.cross_entropy, before_step=divide)  # noqa: E731
    assert not answers("O14", observed(program, tmp_path / "run.dx"))


def test_adam_and_clipped_gradients_are_only_notes(tmp_path):
    adam = observed(lambda: run(F.cross_entropy, make=torch.optim.Adam), tmp_path / "adam.dx")
    clipped = observed(lambda: run(F.cross_entropy, before_step=clip), tmp_path / "clip.dx")
    assert [f.severity for f in findings("O14", adam)] == ["note"]
    assert [f.severity for f in findings("O14", clipped)] == ["note"]


def test_real_and_fake_of_one_batch_through_one_line_are_silent(tmp_path):
    def program():
        judge = net(1)
        optimizer = torch.optim.SGD(judge.parameters(), lr=0.01)
        for (x,) in DataLoader(TensorDataset(inputs(12)), batch_size=2):
            optimizer.zero_grad()
            for batch, target in ((x, 1.0), (torch.randn_like(x), 0.0)):
                wanted = torch.full((len(batch), 1), target)
                F.binary_cross_entropy_with_logits(judge(batch), wanted).backward()
            optimizer.step()

    assert not answers("O14", observed(program, tmp_path / "run.dx"))


def test_batches_without_a_loader_cannot_be_told(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            for _ in range(K):
                F.cross_entropy(model(inputs()), labels()).backward()
            optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    assert not findings("O14", record)
    assert unclear("O14", record)


def test_two_steps_are_too_few(tmp_path):
    assert not answers("O14", observed(lambda: run(F.cross_entropy, groups=2), tmp_path / "run.dx"))
