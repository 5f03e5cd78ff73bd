import pytest
import torch
import torch.nn.functional as F
from torch import nn

X = torch.tensor([[-2.0, 1.0]])


def identity(*activations):
    layers = []
    for activation in activations:
        layer = nn.Linear(2, 2, bias=False)
        nn.init.eye_(layer.weight)
        layers += [layer, activation]
    return nn.Sequential(*layers)


def test_a_relu_comes_between_two_layers(treated):
    site = treated("activation", where="2")
    assert identity(nn.Identity(), nn.Identity())(X).tolist() == [[0.0, 1.0]]
    assert site.acted == 1


def test_a_relu_leaks(treated):
    site = treated("activation", where="0", to="LeakyReLU")
    model = identity(nn.ReLU(), nn.Identity())
    assert model(X)[0].tolist() == pytest.approx([-0.02, 1.0])
    assert site.acted == 1


def test_only_those_behind_named_layers_behind_norms_too(treated):
    site = treated("activation", where="0", to="ReLU")
    model = identity(nn.Sequential(nn.LayerNorm(2), nn.Sigmoid()), nn.Sigmoid())
    x = F.layer_norm(X, (2,)).clamp_min(0)
    assert torch.allclose(model(X), torch.sigmoid(x))
    assert site.acted == 1


@pytest.mark.parametrize("function", [torch.tanh, F.tanh, torch.Tensor.tanh])
def test_functions_are_met_wherever_they_are_called(treated, function):
    name = function.__name__
    owner = next(o for o in (torch, F, torch.Tensor) if getattr(o, name) is function)
    site = treated("activation", where="inner", to="ReLU")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = identity(nn.Identity())[0]

        def forward(self, x):
            return getattr(owner, name)(self.inner(x))

    assert Net()(X).tolist() == [[0.0, 1.0]]
    assert site.acted == 1


def test_all_is_put_back(site, treated):
    before = torch.relu, F.relu, torch.Tensor.relu
    treated("activation", where="0", to="LeakyReLU")
    site.close()
    assert before == (torch.relu, F.relu, torch.Tensor.relu)
    assert identity(nn.ReLU())(X)[0].tolist() == [0.0, 1.0]
