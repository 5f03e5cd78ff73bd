import torch
from torch.nn import functional as F

from torchdx.treatments.normalise_targets import as_shares

SCORES = torch.tensor([[2.0, -1.0, 0.0], [0.5, 1.0, 0.0]])


def test_rows_are_divided_by_their_sum_and_scores_take_a_softmax():
    rows = torch.tensor([[2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    assert as_shares(rows).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    scores = torch.tensor([[3.0, -1.0]])
    assert torch.equal(as_shares(scores), scores.softmax(1))


def test_the_loss_is_given_shares(treated):
    site = treated("normalise_targets")
    shares = torch.tensor([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    wanted = F.cross_entropy(SCORES, shares)
    assert site.acted == 0
    assert torch.allclose(F.cross_entropy(SCORES, shares * 3), wanted)
    assert site.acted == 1


def test_labels_are_left_alone(treated):
    site = treated("normalise_targets")
    F.cross_entropy(SCORES, torch.tensor([0, 2]))
    assert site.acted == 0
