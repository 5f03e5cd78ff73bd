import torch
from torch import nn


def moved(model, state):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    return not torch.equal(state["0.weight"], model[0].weight)


def net():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_a_kept_state_stays_as_it_was(treated):
    site = treated("copy_state")
    model = net()
    state = model.state_dict()
    assert moved(model, state)
    assert list(state) == list(net().state_dict())
    assert state._metadata
    model.load_state_dict(state)
    assert site.acted


def test_what_is_asked_for_live_stays_live(treated):
    site = treated("copy_state")
    model = net()
    assert not moved(model, model.state_dict(keep_vars=True))
    assert not site.acted


def test_another_model_is_left_alone(treated):
    site = treated("copy_state", where="Net#7")
    model = net()
    assert not moved(model, model.state_dict())
    assert not site.acted
