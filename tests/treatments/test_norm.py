import torch
from torch import nn

from torchdx.treatments.norm import normalised


def test_rows_have_mean_0_and_deviation_1():
    torch.manual_seed(0)
    x = 100 * torch.rand(3, 50) + 7
    assert normalised(x).mean(1).abs().max() < 1e-4
    assert (normalised(x).std(1, correction=0) - 1).abs().max() < 1e-4
    images = torch.rand(3, 4, 5, 5)
    assert normalised(images).flatten(1).mean(1).abs().max() < 1e-5


def test_named_layers_are_given_normalised_inputs(treated):
    site = treated("norm", where="1, 2")
    model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(3)])
    given = []
    for layer in model:
        layer.register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    x = 100 * torch.rand(2, 8)
    model(x)
    assert given[0] is x
    assert all((g.std(1, correction=0) - 1).abs().max() < 1e-3 for g in given[1:])
    assert site.acted == 2
