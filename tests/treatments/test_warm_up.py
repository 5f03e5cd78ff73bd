import pytest
import torch
from torch import nn

from torchdx.treatments.warm_up import warmth


def test_the_share_grows_in_a_line_to_one():
    assert [warmth(i, 4) for i in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_first_steps_are_shorter(treated):
    site = treated("warm_up", to="4")
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    places = []
    for _ in range(5):
        weight.grad = -torch.ones(1)
        optimizer.step()
        places.append(weight.item())
    assert places == pytest.approx([0.25, 0.75, 1.5, 2.5, 3.5])
    assert site.acted
