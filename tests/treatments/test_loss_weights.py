import pytest
import torch
from torch.nn import functional as F

P = torch.tensor([[0.3, -0.2]], requires_grad=True)
Y = torch.tensor([0])


def gradient(loss):
    P.grad = None
    loss.backward()
    found, P.grad = P.grad, None
    return found


def penalised(weight, by=1.0):
    return by * F.cross_entropy(P, Y) + weight * P.abs().sum()


@pytest.mark.parametrize("by", [1.0, 0.5])
def test_the_other_terms_are_weighed_down(treated, by):
    right = gradient(penalised(0.02, by))
    site = treated("loss_weights", where="NllLoss", to="0.01")
    assert torch.allclose(gradient(penalised(2.0, by)), right, atol=1e-7)
    assert site.acted == 1


def test_a_loss_of_one_term_is_left_alone(treated):
    site = treated("loss_weights", where="NllLoss", to="0.01")
    gradient(F.cross_entropy(P, Y))
    gradient(P.square().sum())
    assert site.acted == 0
