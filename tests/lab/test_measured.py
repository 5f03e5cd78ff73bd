import math

import pytest
import torch

from torchdx.lab.measured import at_first, measured
from torchdx.lab.models.mlp import mlp


def test_a_network_is_measured_and_left_as_it_is():
    torch.manual_seed(0)
    net = mlp([6, 5, 3])
    before = [weight.detach().clone() for weight in net.parameters()]
    images, labels = torch.randn(16, 6), torch.arange(16) % 3
    record = measured(net, images, labels)
    assert all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
    deviation = at_first(record, "activation.std", "0")
    assert deviation == pytest.approx(float(net[0](images).detach().std(correction=0)), rel=1e-4)
    gradient = net[2].weight.grad
    assert at_first(record, "gradient.norm", "2.weight") == pytest.approx(
        float(gradient.norm()), rel=1e-4
    )
    assert len(record.of("output-gradients")[0].facts["rows"][0]) == 3
    assert math.isnan(at_first(record, "activation.std", "nowhere"))
