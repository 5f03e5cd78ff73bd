import torch
from torch.nn import functional as F

GIVEN = torch.tensor([[0.2], [-0.4]], requires_grad=True)
TARGET = torch.tensor([[14.0], [6.0]])


def test_a_quantity_is_standardised_and_fitted(treated):
    wanted = F.mse_loss(GIVEN, (TARGET - 10) / 4)
    site = treated("squared_error", to="10 4")
    assert torch.equal(F.binary_cross_entropy_with_logits(GIVEN, TARGET), wanted)
    assert site.acted == 1


def test_levels_as_classes_are_left_alone(treated):
    site = treated("squared_error")
    F.cross_entropy(torch.randn(2, 3), torch.tensor([0, 1]))
    F.binary_cross_entropy_with_logits(GIVEN, (TARGET > 10).float())
    assert site.acted == 0
