import torch
import torch.nn.functional as F

from torchdx.treatments.recode import recoded


def test_codes_are_replaced_at_once():
    target = torch.tensor([1.0, 3.0, 2.0])
    assert recoded(target, {1.0: 3.0, 3.0: 0.0}).tolist() == [3.0, 0.0, 2.0]
    assert target.tolist() == [1.0, 3.0, 2.0]


def test_two_codes_become_0_and_1(treated):
    site = treated("recode", to="1:0, 3:1")
    scores = torch.tensor([0.3, -2.0])
    loss = F.binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 3.0]))
    site.close()
    assert loss == F.binary_cross_entropy_with_logits(scores, torch.tensor([0.0, 1.0]))
    assert site.acted == 1


def test_shifted_classes_are_counted_from_0(treated):
    site = treated("recode", to="+1")
    scores = torch.randn(3, 3)
    loss = F.cross_entropy(scores, torch.tensor([-1, 0, 1]), ignore_index=-1)
    site.close()
    assert loss == F.cross_entropy(scores, torch.tensor([0, 1, 2]))


def test_without_skipped_rows_nothing_is_done(treated):
    site = treated("recode", to="+1")
    F.cross_entropy(torch.randn(3, 3), torch.tensor([0, 0, 1]))
    assert not site.acted
