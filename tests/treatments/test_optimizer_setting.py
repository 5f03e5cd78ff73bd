import torch
from torch import nn


def adam(**settings):
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([weight], **settings)
    weight.grad = torch.ones(1)
    optimizer.step()
    return optimizer.param_groups[0]


def test_eps_is_set(treated):
    site = treated("optimizer_setting", where="eps", to="1e-8")
    assert adam(eps=1.0)["eps"] == 1e-8
    assert site.acted == 1


def test_betas_are_set(treated):
    treated("optimizer_setting", where="betas", to="0.9, 0.999")
    assert adam(betas=(0.99, 0.1))["betas"] == (0.9, 0.999)


def test_what_is_right_stays(treated):
    site = treated("optimizer_setting", where="eps", to="1e-8")
    adam()
    assert not site.acted


def test_a_setting_that_an_optimizer_lacks_is_not_given_to_it(treated):
    site = treated("optimizer_setting", where="eps", to="1e-8")
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.step()
    assert "eps" not in optimizer.param_groups[0]
    assert not site.acted
