import warnings

import torch
from torch import nn
from torch.nn import functional as F

SCORES = torch.tensor([[2.0, -1.0, 0.0], [0.5, 1.0, 0.0]])


def test_however_it_is_written_it_sums_over_the_classes(treated):
    wanted = SCORES.softmax(1)
    site = treated("softmax_dim", to="-1")
    assert torch.equal(SCORES.softmax(0), wanted)
    assert torch.equal(torch.softmax(SCORES, dim=0), wanted)
    assert torch.equal(F.softmax(SCORES, -2), wanted)
    assert torch.equal(nn.Softmax(dim=0)(SCORES), wanted)
    assert torch.allclose(F.log_softmax(SCORES, dim=0), wanted.log())
    assert site.acted >= 5


def test_torch_s_own_choice_of_rows(treated):
    cube = torch.randn(4, 2, 3)
    treated("softmax_dim", to="-1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(nn.LogSoftmax()(cube), cube.log_softmax(2))


def test_other_dimensions_and_single_rows_are_left_alone(treated):
    site = treated("softmax_dim")
    assert torch.allclose(SCORES.softmax(1).sum(1), torch.ones(2))
    assert torch.allclose(SCORES[0].softmax(0).sum(), torch.ones(()))
    assert site.acted == 0
