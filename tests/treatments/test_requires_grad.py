import torch
from torch import nn


def test_an_assignment_freezes(treated):
    site = treated("requires_grad", to="False")
    layer = nn.Linear(2, 2)
    layer.requires_grad = False
    layer.other = 3
    assert not layer.weight.requires_grad
    assert layer.other == 3
    assert "requires_grad" not in vars(layer)
    assert site.acted == 1


def test_what_an_optimizer_holds_thaws(treated):
    site = treated("requires_grad")
    layer = nn.Linear(2, 2).requires_grad_(False)
    torch.optim.SGD(layer.parameters(), lr=0.1)
    assert layer.weight.requires_grad
    assert site.acted == 1


def test_what_is_frozen_later_thaws_too(treated):
    site = treated("requires_grad")
    layer = nn.Linear(2, 2)
    torch.optim.SGD(layer.parameters(), lr=0.1)
    layer.requires_grad_(False)
    assert layer(torch.ones(1, 2)).requires_grad
    assert site.acted == 1


def test_a_partly_frozen_model_is_left_alone(treated):
    site = treated("requires_grad")
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 2))
    assert not layer.bias.requires_grad
    assert not site.acted
