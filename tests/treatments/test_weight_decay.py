import pytest
import torch
from torch import nn


def decayed(decay):
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0, weight_decay=decay)
    weight.grad = torch.zeros(1)
    optimizer.step()
    return weight.item(), optimizer.param_groups[0]["weight_decay"]


def test_a_hundredth_decays_and_the_setting_stays(treated):
    site = treated("weight_decay", to="0.01")
    assert decayed(0.5) == (pytest.approx(0.995), 0.5)
    assert site.acted == 1


def test_without_decay_nothing_is_done(treated):
    site = treated("weight_decay", to="0.01")
    assert decayed(0.0) == (1.0, 0.0)
    assert not site.acted
