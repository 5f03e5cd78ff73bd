import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
SCORES = torch.randn(5, 4, requires_grad=True)
LABELS = torch.tensor([0, 3, 2, 1, 1])
ONE_HOT = F.one_hot(LABELS, 4).float()
WANTED = F.cross_entropy(SCORES, LABELS)
(GRADIENT,) = torch.autograd.grad(WANTED, SCORES)


def same(loss):
    right = torch.allclose(loss, WANTED, rtol=1e-5)
    gradient = torch.autograd.grad(loss, SCORES, retain_graph=True)[0]
    return right and torch.allclose(gradient, GRADIENT, atol=1e-5)


def test_nll_loss_of_scores_and_of_probabilities(treated):
    site = treated("cross_entropy")
    assert same(F.nll_loss(SCORES, LABELS))
    assert same(nn.NLLLoss()(SCORES.softmax(1), LABELS))
    assert site.acted == 2


def test_nll_loss_of_log_probabilities_is_left_as_it_is(treated):
    site = treated("cross_entropy")
    assert same(F.nll_loss(SCORES.log_softmax(1), LABELS))
    assert site.acted == 0


def test_squared_errors_on_one_hot_rows(treated):
    site = treated("cross_entropy")
    assert same(F.mse_loss(SCORES, ONE_HOT))
    assert same(F.mse_loss(SCORES.softmax(1), ONE_HOT))
    assert site.acted == 2


def test_a_squared_error_written_by_hand(treated):
    site = treated("cross_entropy")
    for reduce in (lambda s: s.mean(), lambda s: s.sum(1).mean()):
        loss = reduce((SCORES.softmax(1) - ONE_HOT).pow(2))
        SCORES.grad = None
        loss.backward()
        assert torch.allclose(SCORES.grad, GRADIENT, atol=1e-5)
    assert site.acted == 2
    SCORES.grad = None


def test_a_squared_error_of_numbers_stays_one(treated):
    site = treated("cross_entropy")
    numbers = torch.randn(5, 4)
    assert torch.equal(F.mse_loss(SCORES, numbers), ((SCORES - numbers) ** 2).mean())
    other = (SCORES - ONE_HOT).abs().mean()
    other.backward()
    assert site.acted == 0
    SCORES.grad = None
