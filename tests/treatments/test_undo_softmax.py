import torch
from torch.nn import functional as F

from torchdx.treatments.undo_softmax import as_scores

SCORES = torch.tensor([[2.0, -1.0, 0.5], [-30.0, 4.0, 1.0]], requires_grad=True)
LABELS = torch.tensor([0, 2])


def test_a_cross_entropy_of_probabilities_is_that_of_the_scores(treated):
    wanted = F.cross_entropy(SCORES, LABELS)
    (gradient,) = torch.autograd.grad(wanted, SCORES)
    site = treated("undo_softmax")
    loss = F.cross_entropy(SCORES.softmax(1), LABELS)
    assert torch.allclose(loss, wanted, rtol=1e-6)
    assert torch.allclose(torch.autograd.grad(loss, SCORES)[0], gradient, atol=1e-6)
    assert site.acted == 1


def test_scores_are_left_as_they_are(treated):
    wanted = F.cross_entropy(SCORES, LABELS)
    site = treated("undo_softmax")
    assert torch.equal(F.cross_entropy(SCORES, LABELS), wanted)
    assert site.acted == 0


def test_as_scores_is_the_inverse_of_a_softmax():
    p = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    assert torch.allclose(as_scores(p).softmax(1), p)
