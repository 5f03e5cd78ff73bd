import torch
from torch import nn

from torchdx.treatments.optimizer_parameters import adopt


def test_new_ones_join_the_last_group_once():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD([model.weight], lr=0.1)
    assert adopt(optimizer, [model.weight, model.bias]) == 1
    assert adopt(optimizer, [model.weight, model.bias]) == 0
    assert len(optimizer.param_groups) == 1


def trained(model, optimizer, x):
    optimizer.zero_grad()
    model(x).sum().backward()
    optimizer.step()


def test_a_layer_added_late_is_trained(treated):
    site = treated("optimizer_parameters", where="1.weight, 1.bias")
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.append(nn.Linear(2, 1))
    before = model[1].bias.item()
    trained(model, optimizer, torch.ones(1, 2))
    assert abs(model[1].bias.item() - before + 0.1) < 1e-6
    assert site.acted == 1


def test_a_new_model_takes_the_place_of_the_old(treated):
    site = treated("optimizer_parameters", where="optimizer 1")
    optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters(), lr=0.1)
    model = nn.Linear(2, 1)
    before = model.bias.item()
    trained(model, optimizer, torch.ones(1, 2))
    assert abs(model.bias.item() - before + 0.1) < 1e-4
    assert site.acted == 1


def test_what_others_hold_or_is_not_named_stays_out(treated):
    site = treated("optimizer_parameters", where="nothing")
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    trained(model, optimizer, torch.ones(1, 2))
    assert len(optimizer.param_groups[0]["params"]) == 2
    assert not site.acted
