import pytest
import torch
from torch import nn

from torchdx.treatments.lsuv import lsuv


def net():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 9)
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, 3.0)
    return model


def test_every_layer_puts_out_a_deviation_of_one():
    torch.manual_seed(0)
    x, model = torch.randn(64, 1, 6, 6), net()
    state = torch.get_rng_state()
    assert lsuv(model, x) == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    model.eval()
    assert model[0](x).std().item() == pytest.approx(1.0, abs=1e-4)
    assert model(x).std().item() == pytest.approx(1.0, abs=1e-4)
    assert not model[0].bias.any()


def test_it_happens_once_with_the_first_batch(treated):
    site = treated("lsuv")
    model = net()
    torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(64, 1, 6, 6)
    model(x)
    first = model[0].weight.detach().clone()
    model(2 * x)
    assert torch.equal(model[0].weight, first)
    assert site.acted == 1
