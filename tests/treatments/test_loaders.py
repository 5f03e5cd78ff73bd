import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROWS = TensorDataset(torch.arange(8))


def test_workers_are_set(treated):
    site = treated("num_workers", to="2")
    assert DataLoader(ROWS).num_workers == 2
    assert DataLoader(ROWS, num_workers=2).num_workers == 2
    assert site.acted == 1


def test_without_workers_what_belongs_to_them_goes(treated):
    treated("num_workers", to="0")
    loader = DataLoader(ROWS, num_workers=2, prefetch_factor=4, persistent_workers=True)
    assert loader.num_workers == 0
    assert len(list(loader)) == 8


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 3)

    def forward(self, x):
        return self.gru(x)[0]


def test_rows_come_first(treated):
    site = treated("batch_first", where="gru")
    model, x = Reader(), torch.randn(5, 7, 2)
    out = model(x)
    assert torch.allclose(out[:1], model(x[:1]), atol=1e-6)
    assert site.acted == 1


def test_a_right_layer_is_left_alone(treated):
    site = treated("batch_first")
    nn.GRU(2, 3, batch_first=True)(torch.ones(5, 7, 2))
    assert not site.acted
