import torch
from torch import nn

from torchdx.treatments.dropout import weaken


def net():
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.8), nn.LSTM(4, 4, 2, dropout=0.6))


def test_all_shares_are_scaled():
    model = net()
    assert weaken(model, 0.5) == 2
    assert model[1].p == 0.4
    assert model[2].dropout == 0.3


def test_the_named_part_alone(treated):
    site = treated("dropout", where="1", to="x0.5")
    model = net()
    model(torch.ones(3, 4))
    model(torch.ones(3, 4))
    assert model[1].p == 0.4
    assert model[2].dropout == 0.6
    assert site.acted == 1


def test_without_dropout_nothing_is_done(treated):
    site = treated("dropout", to="x0.5")
    nn.Linear(2, 2)(torch.ones(1, 2))
    assert not site.acted
