import torch
from torch import nn
from torch.nn import functional as F

SCORES = torch.tensor([2.0, -1.0, 9.0, -12.0], requires_grad=True)
TARGETS = torch.tensor([1.0, 0.0, 0.0, 1.0])


def test_the_loss_and_its_gradient_are_those_of_the_scores(treated):
    wanted = F.binary_cross_entropy_with_logits(SCORES, TARGETS)
    (gradient,) = torch.autograd.grad(wanted, SCORES)
    site = treated("undo_sigmoid")
    loss = nn.BCEWithLogitsLoss()(torch.sigmoid(SCORES), TARGETS)
    assert torch.allclose(loss, wanted, rtol=1e-3)
    assert torch.allclose(torch.autograd.grad(loss, SCORES)[0], gradient, atol=1e-4)
    assert site.acted == 1


def test_a_sigmoid_of_another_shape_is_seen(treated):
    site = treated("undo_sigmoid")
    F.binary_cross_entropy_with_logits(torch.sigmoid(SCORES).view(4, 1), TARGETS.view(4, 1))
    assert site.acted == 1


def test_a_validation_loss_is_treated_as_the_training_loss(treated):
    site = treated("undo_sigmoid")
    train = F.binary_cross_entropy_with_logits(torch.sigmoid(SCORES), TARGETS)
    with torch.no_grad():
        judged = F.binary_cross_entropy_with_logits(torch.sigmoid(SCORES), TARGETS)
    assert torch.equal(train.detach(), judged)
    assert site.acted == 2


def test_scores_are_left_alone(treated):
    wanted = F.binary_cross_entropy_with_logits(SCORES, TARGETS)
    site = treated("undo_sigmoid")
    assert torch.equal(F.binary_cross_entropy_with_logits(SCORES, TARGETS), wanted)
    assert site.acted == 0
