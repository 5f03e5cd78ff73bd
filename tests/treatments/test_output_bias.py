import pytest
import torch
from torch import nn

from torchdx.treatments.output_bias import bias_of


def test_the_first_answer_is_the_shares(treated):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        net[2].weight.zero_()
    site = treated("output_bias", where="2.bias", to="0.7,0.2,0.1")
    answer = net(torch.randn(5, 3)).softmax(1)
    assert torch.allclose(answer, torch.tensor([0.7, 0.2, 0.1]).expand(5, 3), atol=1e-6)
    assert site.acted == 1


def test_it_is_set_once(treated):
    net = nn.Linear(3, 1)
    site = treated("output_bias", where="bias", to="0.9,0.1")
    net(torch.randn(2, 3))
    assert net.bias.item() == pytest.approx(torch.logit(torch.tensor(0.1)).item(), rel=1e-5)
    with torch.no_grad():
        net.bias.fill_(5.0)
    net(torch.randn(2, 3))
    assert net.bias.item() == 5.0
    assert site.acted == 1


def test_another_name_or_number_of_classes_is_left_alone(treated):
    net = nn.Linear(3, 5)
    before = net.bias.detach().clone()
    site = treated("output_bias", where="bias", to="0.9,0.1")
    net(torch.randn(2, 3))
    assert torch.equal(net.bias, before)
    assert site.acted == 0


def test_shares_and_outputs_must_agree():
    with pytest.raises(ValueError, match="3 shares, 2 outputs"):
        bias_of([0.5, 0.3, 0.2], 2)
