import pytest
import torch
from torch import nn

from torchdx.treatments.norm_momentum import set_momentum
from torchdx.treatments.recalibrate import recalibrate


def net():
    return nn.Sequential(nn.BatchNorm1d(1, momentum=0.001), nn.Dropout(0.5), nn.Linear(1, 1))


def test_statistics_are_the_mean_over_the_batches():
    model = net()
    state = torch.get_rng_state()
    batches = [((torch.tensor([[1.0], [3.0]]),), {}), ((torch.tensor([[5.0], [7.0]]),), {})]
    assert recalibrate(model, batches) == 1
    assert model[0].running_mean.item() == pytest.approx(4.0)
    assert model[0].momentum == 0.001
    assert model[1].training
    assert torch.equal(torch.get_rng_state(), state)


def test_they_are_taken_before_evaluation_behind_steps(treated):
    site = treated("recalibrate")
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([[1.0], [3.0]])).sum().backward()
    optimizer.step()
    model.eval()
    for _ in range(2):
        with torch.no_grad():
            model(torch.tensor([[1.0]]))
    assert model[0].running_mean.item() == pytest.approx(2.0)
    assert not model.training
    assert site.acted == 1


def test_the_momentum_of_all_that_have_it():
    model = nn.Sequential(net(), net(), nn.BatchNorm1d(1))
    assert set_momentum(model, 0.1, 0.001) == 2
    assert [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm1d)] == [0.1] * 3


def test_a_usual_momentum_stays(treated):
    site = treated("norm_momentum", where="0", to="0.1")
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    model(torch.ones(2, 1))
    assert not site.acted


def test_a_strange_one_is_set(treated):
    site = treated("norm_momentum", where="0", to="0.1")
    model = net()
    model(torch.ones(2, 1))
    assert model[0].momentum == 0.1
    assert site.acted == 1
