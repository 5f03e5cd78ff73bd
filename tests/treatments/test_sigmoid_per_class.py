import torch
from torch.nn import functional as F

SCORES = torch.tensor([[2.0, -1.0, 0.0], [0.5, 1.0, 0.0]])
SHARES = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])


def test_each_class_is_asked_for_by_itself(treated):
    wanted = F.binary_cross_entropy_with_logits(SCORES, (SHARES > 0).float())
    site = treated("sigmoid_per_class")
    assert torch.equal(F.cross_entropy(SCORES, SHARES), wanted)
    assert site.acted == 1


def test_labels_are_left_alone(treated):
    site = treated("sigmoid_per_class")
    F.cross_entropy(SCORES, torch.tensor([0, 2]))
    assert site.acted == 0
