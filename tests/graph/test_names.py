import torch
from torch import nn
from torch.nn import functional

from tests.support import observed


class Sliced(nn.Module):
    """Calls its layers by slices of its list, as many programs do."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def stepped(model):
    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            functional.mse_loss(model(torch.ones(6, 4)), torch.zeros(6, 4)).backward()
            optimizer.step()

    return program


def test_layers_called_by_a_slice_of_their_list_keep_their_names(tmp_path):
    def program():
        stepped(Sliced())()

    record = observed(program, tmp_path / "run.dx")
    assert set(record.signals["activation.std"]) == {"layers.0", "layers.1", "layers.2"}
    assert [model.cls for model in record.models] == ["Sliced"]


def test_layers_moved_into_another_module_are_named_by_it(tmp_path):
    def program():
        first = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
        stepped(nn.Sequential(nn.Identity(), *first))()

    record = observed(program, tmp_path / "run.dx")
    assert list(record.signals["activation.std"]) == ["0", "1", "2"]
