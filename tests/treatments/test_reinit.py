import math

import pytest
import torch
from torch import nn

from torchdx.treatments.reinit import he_normal, redraw


def test_the_deviation_is_he_s_and_the_program_s_numbers_stay():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    weight = torch.zeros(300, 50, 2)
    he_normal(weight, "a")
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 100), rel=0.02)
    assert torch.equal(torch.rand(1), expected)


def test_a_name_has_its_own_numbers():
    a, b, again = torch.zeros(4, 4), torch.zeros(4, 4), torch.zeros(4, 4)
    he_normal(a, "a")
    he_normal(b, "b")
    he_normal(again, "a")
    assert torch.equal(a, again)
    assert not torch.equal(a, b)


def test_biases_begin_at_zero_and_norms_are_left_alone():
    layer, norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
    assert redraw(layer, "x") == 1
    assert not layer.bias.any()
    assert redraw(norm, "y") == 0
    assert norm.weight.all()


def test_only_the_named_layers_before_the_first_step(treated):
    site = treated("reinit", where="0, 2")
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4))
    model(torch.ones(1, 4))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 4))
    drawn = model[0].weight.detach().clone()
    model(torch.ones(1, 4))
    assert drawn.all()
    assert model[2].weight.all()
    assert not model[3].weight.any()
    assert torch.equal(model[0].weight, drawn)
    assert site.acted == 2


def test_a_weight_that_no_layer_holds(treated):
    site = treated("reinit", where="w")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 2))

        def forward(self, x):
            return x @ self.w

    model = Net()
    torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 4))
    assert model.w.all()
    assert site.acted == 1
