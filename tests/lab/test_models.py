import pytest
import torch
from torch import nn

from torchdx.lab.models.convnet import convnet
from torchdx.lab.models.mlp import mlp
from torchdx.lab.models.resnet import Block, resnet


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85)])
def test_residual_nets_have_as_many_parameters_as_published(depth, millions):
    """He et al. 2016, table 6."""
    assert abs(count(resnet(depth)) / 1e6 - millions) < 0.006


def test_shortcuts_without_parameters_have_none_and_projections_have_theirs():
    plain, a, b, c = (count(resnet(8, shortcut=s)) for s in ("plain", "A", "B", "C"))
    assert plain == a
    assert b - a == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert c - b == 16 * 16 + 2 * 16


def test_a_block_that_answers_nothing_hands_its_input_on():
    for shortcut, width in (("A", 4), ("A", 8), ("B", 4)):
        block = Block(4, width, 1, shortcut, norm=False).eval()
        for parameter in block.second.parameters():
            nn.init.zeros_(parameter)
        x = torch.rand(2, 4, 6, 6)
        added = (width - 4) // 2
        assert torch.equal(block(x)[:, added : added + 4], x)
        assert block(x).sum() == x.sum(), "what is filled up is zero"


def test_stages_halve_the_image():
    seen = []
    net = resnet(14, shortcut="B", widths=(4, 8, 16), inputs=1)
    for block in net:
        block.register_forward_hook(lambda *called: seen.append(tuple(called[2].shape[1:])))
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    assert seen[3:8:2] == [(4, 28, 28), (8, 14, 14), (16, 7, 7)]
    assert count(resnet(8, norm=False, shortcut="plain")) != count(resnet(8, shortcut="plain"))


def test_a_depth_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="a depth of 6 n \\+ 2 is needed"):
        resnet(18)


def test_small_nets_are_made_as_told():
    net = mlp([64, 32, 10], activation=nn.Tanh, bias=False)
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh", "Linear"]
    assert count(net) == 64 * 32 + 32 * 10
    for side in (8, 28):
        assert convnet((1, 4, 8), norm=True)(torch.rand(3, 1, side, side)).shape == (3, 10)
