"""Which line changed in place what backward needs."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support import observed


def training(loss, *, after=None, steps=4):
    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net, torch.randn(8, 4)).backward()
            optimizer.step()
            if after:
                after(net)

    return program


def edits(program, tmp_path, *, fails):
    return observed(program, tmp_path / "run.dx", fails=fails).of("in-place-edit")


def added(net, x):
    s = torch.sigmoid(net(x))
    s += 1  # the edit
    return s.mean()


def cleared(net, x):
    s = torch.sigmoid(net(x))
    s[:, 0] = 0  # the edit
    return (s**2).mean()


def activated(net, x):
    s = torch.exp(net(x))
    return F.relu(s, inplace=True).mean()  # the edit


def by_a_layer(net, x):
    s = torch.exp(net(x))
    shown = act(s)  # the edit
    return shown.mean()


act = nn.ReLU(inplace=True)


def unseen(net, x):
    s = torch.exp(net(x))
    with torch.no_grad():
        s.clamp_(max=2)  # the edit
    return s.mean()


@pytest.mark.parametrize("loss", [added, cleared, activated, by_a_layer, unseen])
def test_the_line_of_an_edit_that_autograd_refuses_is_told(loss, tmp_path):
    (event,) = edits(training(loss), tmp_path, fails=True)
    assert "# the edit" in event.line.text
    assert event.facts["op"] in {"Sigmoid", "Exp"}
    assert not event.facts["silent"]


def test_a_step_between_forward_and_backward_is_told_with_the_weight_that_it_moved(tmp_path):
    def program():
        torch.manual_seed(0)
        maker, judge = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        first = torch.optim.SGD(judge.parameters(), lr=0.1)
        for _ in range(2):
            made = maker(torch.randn(8, 4))
            loss_of_maker = judge(made).mean()
            judge(made.detach()).pow(2).mean().backward()
            first.step()  # the step
            loss_of_maker.backward()

    (event,) = edits(program, tmp_path, fails=True)
    assert event.facts["by_step"]
    assert event.facts["place"].endswith("2.weight")
    assert "# the step" in event.line.text


def through_data(net, x):
    s = torch.exp(net(x))
    s.data.mul_(0.5)  # the edit
    return s.mean()


def weight_through_data(net, x):
    loss = net(x).pow(2).mean()
    net[2].weight.data.clamp_(-0.1, 0.1)  # the edit
    return loss


@pytest.mark.parametrize("loss", [through_data, weight_through_data])
def test_an_edit_through_data_is_told_though_nothing_fails(loss, tmp_path):
    (event,) = edits(training(loss), tmp_path, fails=False)
    assert event.facts["silent"]
    assert "# the edit" in event.line.text


def reads_data(net, x):
    h = net(x)
    return (h / h.data.abs().mean()).pow(2).mean()


def relu_in_place(net, x):
    return F.relu(net(x), inplace=True).mean()


def shrink(net):
    for p in net.parameters():
        p.data.mul_(0.99)


def of_two_values(net, x):
    kept = [p.data.clone() for p in net.parameters()]
    for p in net.parameters():
        p.data = torch.sign(p.data) * 0.1
    loss = net(x).pow(2).mean()
    of_two_values.kept = kept
    return loss


def restore(net):
    for p, old in zip(net.parameters(), of_two_values.kept, strict=True):
        p.data.copy_(old)


@pytest.mark.parametrize(
    ("loss", "after"),
    [(reads_data, shrink), (relu_in_place, None), (of_two_values, restore)],
    ids=["weights-shrunk-after-the-step", "relu", "binary-weights"],
)
def test_edits_that_backward_does_not_feel_are_passed_over(loss, after, tmp_path):
    assert edits(training(loss, after=after), tmp_path, fails=False) == []
