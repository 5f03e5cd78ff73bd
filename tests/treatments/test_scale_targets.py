import torch
from torch.nn import functional as F

GIVEN = torch.zeros(4, 1, requires_grad=True)
TARGET = torch.tensor([[100.0], [104.0], [96.0], [100.0]])


def test_the_loss_is_in_deviations(treated):
    wanted = F.mse_loss(GIVEN, (TARGET - 100) / 4)
    site = treated("scale_targets", to="100 4")
    assert torch.equal(F.mse_loss(GIVEN, TARGET), wanted)
    assert site.acted == 1


def test_explained_variance_is_the_same_in_either_unit():
    from torchdx.trials.scores import Answers, scores

    own = torch.tensor([[0.1], [0.9], [-1.2], [0.2]]).double()
    dollars = scores("rows", [Answers("values", 100 + 4 * own, TARGET)])
    units = scores("rows", [Answers("values", own, (TARGET.double() - 100) / 4)])
    assert abs(dollars["rows.explained"] - units["rows.explained"]) < 1e-12


def test_without_moments_nothing_is_changed(treated):
    site = treated("scale_targets")
    assert torch.equal(F.mse_loss(GIVEN, TARGET), (TARGET**2).mean())
    assert site.acted == 0
