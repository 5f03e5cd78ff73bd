import torch
from torch import nn


def test_float16_becomes_bfloat16(treated):
    net = nn.Linear(3, 2)
    site = treated("grad_scaler")
    with torch.autocast("cpu", dtype=torch.float16):
        assert net(torch.ones(1, 3)).dtype is torch.bfloat16
    assert site.acted == 1


def test_bfloat16_and_regions_that_are_off_stay(treated):
    site = treated("grad_scaler")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pass
    with torch.autocast("cpu", dtype=torch.float16, enabled=False):
        assert nn.Linear(3, 2)(torch.ones(1, 3)).dtype is torch.float32
    assert site.acted == 0
