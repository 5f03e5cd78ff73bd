import torch
from torch import nn
from torch.nn import functional as F

SCORES = torch.tensor([[2.0, -1.0], [0.5, 1.0]])
LABELS = torch.tensor([0, 1])
WEIGHTS = torch.tensor([9.0, 1.0])


def test_classes_and_positive_rows_lose_their_weights(treated):
    wanted = F.cross_entropy(SCORES, LABELS)
    units = F.binary_cross_entropy_with_logits(SCORES[:, 0], LABELS.float())
    site = treated("class_weights")
    assert torch.equal(nn.CrossEntropyLoss(weight=WEIGHTS)(SCORES, LABELS), wanted)
    assert torch.equal(F.nll_loss(SCORES.log_softmax(1), LABELS, WEIGHTS), wanted)
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.1))
    assert torch.equal(weighted(SCORES[:, 0], LABELS.float()), units)
    assert site.acted == 3


def test_weights_of_single_rows_stay(treated):
    rows = torch.tensor([1.0, 0.0])
    wanted = F.binary_cross_entropy_with_logits(SCORES[:, 0], LABELS.float(), weight=rows)
    site = treated("class_weights")
    again = F.binary_cross_entropy_with_logits(SCORES[:, 0], LABELS.float(), weight=rows)
    assert torch.equal(again, wanted)
    F.cross_entropy(SCORES, LABELS)
    assert site.acted == 0
