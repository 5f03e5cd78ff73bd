import torch
import torch.nn.functional as F
from torch import nn

from tests.support import findings, observed


def training(loss, *, steps=4):
    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net, torch.randn(8, 4)).backward()
            optimizer.step()

    return program


def found(program, tmp_path, *, fails=False):
    return findings("T04", observed(program, tmp_path / "run.dx", fails=fails))


def test_a_result_that_backward_needs_and_that_was_overwritten_is_a_fault(tmp_path):
    def loss(net, x):
        gate = torch.sigmoid(net(x))
        gate[:, 0] = 0
        return gate.pow(2).mean()

    (finding,) = found(training(loss), tmp_path, fails=True)
    assert finding.severity == "fault"
    assert finding.line.text == "gate[:, 0] = 0"
    assert "a value that Sigmoid (line" in finding.text
    assert "changed by `gate[:, 0] = 0`" in finding.text


def test_the_same_with_a_new_tensor_is_healthy(tmp_path):
    def loss(net, x):
        gate = torch.sigmoid(net(x))
        gate = gate * torch.tensor([0.0, 1.0, 1.0, 1.0])
        return gate.pow(2).mean()

    assert found(training(loss), tmp_path) == []


def test_an_edit_of_what_backward_does_not_need_is_the_nearest_healthy_program(tmp_path):
    def loss(net, x):
        scores = net(x)
        scores[:, 0] = 0  # a linear layer keeps its input, not its result
        return F.relu(scores, inplace=True).mean()

    assert found(training(loss), tmp_path) == []


def adversaries(*, early):
    """Two nets; the judge's step comes before the maker's backward when `early`."""
    torch.manual_seed(0)
    maker, judge = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    of_maker = torch.optim.SGD(maker.parameters(), lr=0.1)
    of_judge = torch.optim.SGD(judge.parameters(), lr=0.1)
    for _ in range(3):
        made = maker(torch.randn(8, 4))
        fooled = F.softplus(-judge(made)).mean()
        if not early:
            of_maker.zero_grad()
            fooled.backward()
            of_maker.step()
        of_judge.zero_grad()
        F.softplus(judge(made.detach())).mean().backward()
        of_judge.step()
        if early:
            of_maker.zero_grad()
            fooled.backward()
            of_maker.step()


def test_a_step_before_the_other_loss_went_back_is_a_fault(tmp_path):
    (finding,) = found(lambda: adversaries(early=True), tmp_path, fails=True)
    assert finding.severity == "fault"
    assert "the optimizer stepped and changed Sequential.2.weight" in finding.text
    assert finding.line.text == "of_judge.step()"
    assert finding.place == "Sequential.2.weight"


def test_the_same_in_the_other_order_is_healthy(tmp_path):
    assert found(lambda: adversaries(early=False), tmp_path) == []


def test_an_edit_through_data_is_a_suspicion_though_nothing_fails(tmp_path):
    def loss(net, x):
        grown = torch.exp(net(x))
        grown.data.clamp_(max=1.0)
        return grown.mean()

    (finding,) = found(training(loss), tmp_path)
    assert finding.severity == "suspicion"
    assert "changed through `.data` before backward ran" in finding.text
    assert finding.line.text == "grown.data.clamp_(max=1.0)"
    assert "finite difference" in finding.confirm


def test_reading_data_and_editing_it_after_the_step_is_healthy(tmp_path):
    def loss(net, x):
        for p in net.parameters():
            p.data.mul_(0.99)  # before they are used in this step
        scores = net(x)
        return (scores / scores.data.abs().mean()).pow(2).mean()

    assert found(training(loss), tmp_path) == []


def test_a_state_carried_over_from_the_step_before_is_another_sickness(tmp_path):
    def program():
        torch.manual_seed(0)
        cell, head = nn.RNNCell(4, 8), nn.Linear(8, 1)
        held = [*cell.parameters(), *head.parameters()]
        optimizer = torch.optim.SGD(held, lr=0.1)
        state = torch.zeros(2, 8)
        for _ in range(4):
            state = cell(torch.randn(2, 4), state)
            optimizer.zero_grad()
            head(state).mean().backward(retain_graph=True)
            optimizer.step()

    record = observed(program, tmp_path / "run.dx", fails=True)
    assert findings("T05", record)
    assert findings("T04", record) == []
