import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR


def run(epochs, length, *, per_batch=False, anew=False):
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = ExponentialLR(optimizer, 0.5)
    rates = []
    for _ in range(epochs):
        if anew:
            scheduler = ExponentialLR(optimizer, 0.5)
        rates.append(optimizer.param_groups[0]["lr"])
        for _ in range(length):
            weight.grad = torch.ones(1)
            optimizer.step()
            if per_batch:
                scheduler.step()
    return rates


def test_a_schedule_by_batches_goes_by_epochs(treated):
    site = treated("scheduler", where="ExponentialLR", to="5")
    assert run(4, 5, per_batch=True) == [1.0, 0.5, 0.25, 0.125]
    assert site.acted


def test_an_idle_one_is_advanced(treated):
    treated("scheduler", where="ExponentialLR", to="5")
    assert run(4, 5) == [1.0, 0.5, 0.25, 0.125]


def test_one_that_is_made_anew_goes_on(treated):
    treated("scheduler", where="ExponentialLR", to="5")
    assert run(4, 5, anew=True) == [1.0, 0.5, 0.25, 0.125]


def test_without_a_length_nothing_is_touched(treated):
    site = treated("scheduler", where="ExponentialLR")
    assert run(2, 2, per_batch=True) == [1.0, 0.25]
    assert not site.acted


def test_other_classes_are_left_alone(treated):
    site = treated("scheduler", where="StepLR", to="5")
    assert run(2, 2, per_batch=True) == [1.0, 0.25]
    assert not site.acted
