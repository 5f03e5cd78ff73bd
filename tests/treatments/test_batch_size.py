import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset


@pytest.mark.parametrize(("to", "size"), [("x8", 16), ("12", 12)])
def test_shuffled_batches_grow(treated, to, size):
    site = treated("batch_size", to=to)
    rows = TensorDataset(torch.arange(64))
    assert DataLoader(rows, batch_size=2, shuffle=True).batch_size == size
    assert DataLoader(rows, 2, True).batch_size == size
    assert DataLoader(rows, batch_size=2).batch_size == 2
    assert site.acted == 2


def test_no_batches_are_left_alone(treated):
    site = treated("batch_size", to="x8")
    DataLoader(TensorDataset(torch.arange(4)), batch_size=None)
    assert not site.acted
