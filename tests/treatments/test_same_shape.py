import pytest
import torch
from torch import nn
from torch.nn import functional as F

GIVEN = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)
TARGET = torch.tensor([1.5, 1.0, 4.0])


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_each_prediction_meets_its_own_target(treated):
    wanted = ((GIVEN[:, 0] - TARGET) ** 2).mean()
    site = treated("same_shape")
    assert torch.equal(nn.MSELoss()(GIVEN, TARGET), wanted)
    assert torch.equal(F.mse_loss(GIVEN.squeeze(1), TARGET.unsqueeze(1)), wanted)
    assert torch.equal(((GIVEN - TARGET) ** 2).mean(), wanted)
    assert torch.equal(((TARGET - GIVEN) ** 2).mean(), wanted)
    assert torch.equal(torch.sub(GIVEN, TARGET).pow(2).mean(), wanted)
    assert site.acted == 5


def test_shapes_that_agree_or_are_spread_on_purpose_stay(treated):
    site = treated("same_shape")
    matrix = torch.randn(3, 3)
    assert (GIVEN - TARGET[0]).shape == (3, 1)
    assert (matrix - GIVEN).shape == (3, 3)
    assert (GIVEN - TARGET[None, :, None]).shape == (1, 3, 1)
    assert F.mse_loss(GIVEN, TARGET[:, None]).shape == ()
    assert site.acted == 0


def test_subtraction_is_put_back(site, treated):
    before = torch.Tensor.__sub__
    treated("same_shape")
    assert torch.Tensor.__sub__ is not before
    site.close()
    assert (GIVEN - TARGET).shape == (3, 3)
    assert "__sub__" not in vars(torch.Tensor)
