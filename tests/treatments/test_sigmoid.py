import torch
from torch import nn
from torch.nn import functional as F

SCORES = torch.tensor([[2.0], [-1.0]])
TARGETS = torch.tensor([[1.0], [0.0]])


def test_a_softmax_of_one_unit_is_a_sigmoid(treated):
    site = treated("sigmoid")
    assert torch.equal(nn.Softmax(dim=1)(SCORES), torch.sigmoid(SCORES))
    assert torch.equal(SCORES.softmax(-1), torch.sigmoid(SCORES))
    assert site.acted == 2


def test_a_cross_entropy_of_one_score_is_the_binary_one(treated):
    wanted = F.binary_cross_entropy_with_logits(SCORES, TARGETS)
    treated("sigmoid")
    assert torch.equal(F.cross_entropy(SCORES, TARGETS), wanted)


def test_several_units_and_rows_are_left_alone(treated):
    site = treated("sigmoid")
    assert torch.allclose(torch.randn(3, 4).softmax(1).sum(1), torch.ones(3))
    assert torch.allclose(SCORES.softmax(0).sum(0), torch.ones(1))
    assert site.acted == 0
