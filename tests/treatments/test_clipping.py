import pytest
import torch
from torch import nn


def test_the_limit_is_raised_and_put_back(site, treated):
    original = nn.utils.clip_grad_norm_
    treated("clipping", to="5")
    from torch.nn.utils import clip_grad_norm_

    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.tensor([10.0])
    clip_grad_norm_([weight], 0.1)
    assert weight.grad.item() == pytest.approx(0.5)
    assert site.acted == 1
    site.close()
    assert nn.utils.clip_grad_norm_ is original
    assert nn.utils.clip_grad.clip_grad_norm_ is original


def test_values_likewise(treated):
    treated("clipping", to="5")
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.tensor([10.0])
    nn.utils.clip_grad_value_([weight], clip_value=0.1)
    assert weight.grad.item() == pytest.approx(0.5)
