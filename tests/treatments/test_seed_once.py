import random

import numpy as np
import torch
from torch import nn


def numbers():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # as programs do
    return torch.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002


def test_seeds_hold_until_training_begins(treated):
    site = treated("seed_once")
    assert numbers() == numbers()
    assert not site.acted
    torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1).step()
    first, second = numbers(), numbers()
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert site.acted == 6


def test_a_generator_comes_back_all_the_same(treated):
    treated("seed_once")
    torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1).step()
    assert isinstance(torch.manual_seed(0), torch.Generator)


def test_all_is_put_back(site, treated):
    treated("seed_once")
    torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1).step()
    site.close()
    assert numbers() == numbers()
