import pytest
import torch
from torch import nn
from torch.nn import functional as F


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


X = torch.arange(12.0).view(4, 3) / 12
Y = torch.tensor([0, 1, 1, 0])


def gradient(net, loss):
    net.zero_grad()
    loss(net(X)).backward()
    return net.weight.grad.clone()


def averaged(out):
    return F.cross_entropy(out, Y)


def summed(out):
    return F.cross_entropy(out, Y, reduction="sum")


def by_hand(out):
    return -out.log_softmax(1)[torch.arange(4), Y].sum()


def two_terms(out):
    return summed(out) + 0.1 * (out**2).sum()


def two_terms_averaged(out):
    return two_terms(out) / 4


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [(summed, averaged), (by_hand, averaged), (two_terms, two_terms_averaged)],
)
def test_each_step_has_the_gradient_of_the_mean(net, treated, loss, wanted):
    right = gradient(net, wanted)
    site = treated("reduction")
    for _ in range(3):
        assert torch.allclose(gradient(net, loss), right, atol=1e-7)
    assert site.acted == 3


def test_a_sum_that_is_only_reported_stays_one(net, treated):
    treated("reduction")
    gradient(net, summed)
    with torch.no_grad():
        total = summed(net(X))
    assert float(total) == pytest.approx(4 * float(averaged(net(X)).detach()), rel=1e-5)


def penalised(out):
    return averaged(out) + 0.1 * out.mean() ** 2


def test_what_is_averaged_already_stays_so(net, treated):
    right = gradient(net, penalised)
    site = treated("reduction")
    assert torch.equal(gradient(net, penalised), right)
    assert site.acted == 0


def test_a_penalty_that_adds_up_weights_is_no_sum_of_rows(net, treated):
    site = treated("reduction")
    gradient(net, lambda out: averaged(out) + 0.01 * net.weight.abs().sum())
    assert site.acted == 0
