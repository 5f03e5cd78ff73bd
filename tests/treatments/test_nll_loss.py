import torch
from torch import nn
from torch.nn import functional as F

SCORES = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 4.0, 1.0]], requires_grad=True)
LABELS = torch.tensor([0, 2])


def test_a_second_log_softmax_is_not_taken(treated):
    wanted = F.nll_loss(SCORES.log_softmax(1), LABELS)
    site = treated("nll_loss")
    loss = nn.CrossEntropyLoss()(SCORES.log_softmax(1), LABELS)
    assert torch.equal(loss, wanted)
    inner = loss.grad_fn.next_functions[0][0]
    assert "AccumulateGrad" in inner.next_functions[0][0].name()
    assert site.acted == 1


def test_scores_and_smoothed_labels_are_left_alone(treated):
    site = treated("nll_loss")
    F.cross_entropy(SCORES, LABELS)
    F.cross_entropy(SCORES.log_softmax(1), LABELS, label_smoothing=0.1)
    assert site.acted == 0
