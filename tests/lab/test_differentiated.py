import pytest
import torch
from torch.nn import functional

from torchdx.lab.differentiated import Differentiated
from torchdx.lab.models.linear import LinearNet, half_square
from torchdx.lab.models.mlp import mlp


@pytest.fixture
def regression():
    """Half a mean squared error: its Hessian is X'X / N in each output."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(50, 4), torch.randn(50, 2)
    return Differentiated(mlp([4, 2], bias=False), half_square, inputs, targets)


def test_products_by_hand_and_from_differences_are_those_of_the_known_hessian(regression):
    vector = torch.randn(8)
    inner = regression.inputs.double().T @ regression.inputs.double() / 50
    known = (vector.double().reshape(2, 4) @ inner).reshape(-1)
    assert torch.allclose(regression.product(vector), known, rtol=1e-12)
    assert torch.allclose(regression.differenced(vector, 0.1).double(), known, atol=1e-4)


def test_products_leave_the_net_and_its_labels_as_they_are():
    torch.manual_seed(0)
    labels = torch.arange(20) % 3
    case = Differentiated(mlp([5, 3]), functional.cross_entropy, torch.randn(20, 5), labels)
    before = [weight.detach().clone() for weight in case.net.parameters()]
    case.product(torch.ones(18))
    case.differenced(torch.ones(18), 0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, case.net.parameters(), strict=True))
    assert case.double().targets.dtype == torch.int64


def test_descent_leads_down(regression):
    before = float(regression.value().detach())
    regression.descend(20, lr=0.1)
    assert float(regression.value().detach()) < before - 0.05


def test_zero_is_a_saddle_of_two_layers_as_sharp_as_it_says():
    net = LinearNet(2, seed=0)
    hessian = torch.autograd.functional.hessian(
        lambda first, second: _loss(net, first, second), tuple(net.weights)
    )
    whole = torch.cat(
        [
            torch.cat([b.reshape(_n(r), _n(c)) for b, c in zip(row, net.weights, strict=True)], 1)
            for row, r in zip(hessian, net.weights, strict=True)
        ]
    )
    values = torch.linalg.eigvalsh(whole)
    assert float(values[-1]) == pytest.approx(net.sharpness(), rel=1e-9)
    assert float(values[0]) == pytest.approx(-net.sharpness(), rel=1e-9)


def _n(weight):
    return weight.numel()


def _loss(net, first, second):
    return half_square(net.inputs @ first.T @ second.T, net.inputs @ net.map.T)


def test_a_solved_net_has_no_loss_and_a_displaced_one_nearly_that_of_zero():
    zero = float(LinearNet(2, seed=0)().detach())
    assert float(LinearNet(2, seed=0).solved()().detach()) == pytest.approx(0.0, abs=1e-20)
    moved = LinearNet(2, seed=0).displaced(1e-6)
    assert float(moved().detach()) == pytest.approx(zero, rel=1e-9)
    assert any(float(weight.detach().abs().max()) > 1e-7 for weight in moved.weights)
