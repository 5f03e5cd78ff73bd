import contextlib

import torch
from torch import nn


def net():
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))


def seen(model):
    modes = []
    model[1].register_forward_hook(lambda m, *_: modes.append(m.training))
    return modes


def test_training_runs_in_training_mode(treated):
    site = treated("train_mode")
    model = net().eval()
    torch.optim.SGD(model.parameters(), lr=0.1)
    modes = seen(model)
    model(torch.ones(4, 2))
    with torch.no_grad():
        model(torch.ones(4, 2))
    assert modes == [True, False]
    assert not model.training
    assert not model[1].training
    assert site.acted == 1


def test_training_mode_stays(treated):
    site = treated("train_mode")
    model = net()
    torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(4, 2))
    assert model.training
    assert not site.acted


def test_judging_runs_in_evaluation_mode(treated):
    site = treated("eval_mode")
    model = net()
    modes = seen(model)
    model(torch.ones(4, 2))
    with torch.no_grad():
        model(torch.ones(4, 2))
    assert modes == [True, False]
    assert model[2].training
    assert site.acted == 1


def test_another_model_is_left_alone(treated):
    site = treated("eval_mode", where="head")
    model = net()
    with torch.no_grad():
        model(torch.ones(4, 2))
    assert not site.acted
    assert model[2].num_batches_tracked == 1


def test_a_call_that_raises_leaves_the_mode(treated):
    treated("eval_mode")
    model = net()
    with torch.no_grad():
        with contextlib.suppress(RuntimeError):
            model(torch.ones(4, 3))
        model(torch.ones(4, 2))
    assert model.training
    assert model[1].training
