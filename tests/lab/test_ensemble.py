import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torchdx.errors import CallError
from torchdx.lab.data import digits
from torchdx.lab.ensemble import Ensemble
from torchdx.lab.models.convnet import convnet
from torchdx.lab.models.mlp import mlp


def trained(nets, make, *, own=False):
    """Three nets trained as one, and one by one."""
    images = digits()
    x = images.flat[:96] if isinstance(nets[0][0], nn.Linear) else images.pixels[:96]
    y = images.labels[:96]
    rows = [slice(32 * k, 32 * k + 32) if own else slice(0, 96) for k in range(3)]
    ensemble = Ensemble(nets)
    optimizer = make(ensemble.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        inputs = torch.stack([x[r] for r in rows]) if own else x
        targets = torch.stack([y[r] for r in rows]) if own else y
        ensemble.losses(cross_entropy, inputs, targets, own=own).sum().backward()
        optimizer.step()
    for net, each in zip(nets, rows, strict=True):
        single = make(net.parameters())
        for _ in range(5):
            single.zero_grad()
            cross_entropy(net(x[each]), y[each]).backward()
            single.step()
    return ensemble


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("make", [mlp, convnet])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_nets_trained_as_one_are_as_if_trained_one_by_one(kind, make, own):
    torch.manual_seed(0)
    nets = [make([64, 16, 10]) if make is mlp else make((1, 4, 8)) for _ in range(3)]
    ensemble = trained(nets, lambda p: kind(p, lr=0.01), own=own)
    for number, net in enumerate(nets):
        state = ensemble.member(number)
        for name, value in net.state_dict().items():
            assert torch.allclose(state[name], value, atol=1e-5), (number, name)


def test_the_nets_that_were_given_stay_as_they_are():
    nets = [mlp([4, 3]) for _ in range(2)]
    before = nets[0][0].weight.clone()
    ensemble = Ensemble(nets)
    optimizer = torch.optim.SGD(ensemble.parameters(), lr=1.0)
    ensemble.losses(cross_entropy, torch.ones(2, 4), torch.tensor([0, 1])).sum().backward()
    optimizer.step()
    assert torch.equal(nets[0][0].weight, before)
    nets[0].load_state_dict(ensemble.member(0))
    assert not torch.equal(nets[0][0].weight, before)


def test_running_statistics_are_refused_with_the_way_out():
    with pytest.raises(CallError, match=r"BatchNorm2d.*track_running_stats=False"):
        Ensemble([convnet(norm=True)])
    with pytest.raises(CallError, match="needs networks"):
        Ensemble([])
