import pytest
import torch
from torch import nn

from torchdx.events.guard import Guard
from torchdx.treatments.standardise import BATCHES, Scaler


def test_batches_together_have_the_statistics_of_all_rows():
    torch.manual_seed(0)
    x = torch.randn(160, 3) * torch.tensor([1.0, 100.0, 0.0]) + torch.tensor([5.0, -3.0, 7.0])
    scaler = Scaler()
    for rows in x.split(20):
        scaler.see(rows)
    scaled = scaler.scale(x)
    assert scaled.mean(0).abs().max() < 1e-5
    assert scaled.std(0, correction=0).tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-5)


def test_images_have_a_mean_for_each_channel():
    torch.manual_seed(0)
    x = torch.rand(8, 2, 4, 5) * torch.tensor([1.0, 50.0]).view(2, 1, 1)
    scaler = Scaler()
    scaler.see(x)
    assert scaler.scale(x).transpose(0, 1).flatten(1).std(1, correction=0).tolist() == (
        pytest.approx([1.0, 1.0])
    )


def test_one_number_for_all_keeps_zeros():
    scaler = Scaler(columns=False)
    scaler.see(torch.tensor([[0.0, 0.002], [0.0, 0.006]]))
    scaled = scaler.scale(torch.tensor([[0.0, 0.002]]))
    assert scaled[0, 0] == 0
    assert scaled[0, 1].item() == pytest.approx(
        0.002 / torch.tensor([0, 0.002, 0, 0.006]).std(correction=0).item()
    )


def test_statistics_are_frozen_and_serve_evaluation(treated):
    site = treated("standardise")
    model, given = nn.Linear(1, 1), []
    model.register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    with torch.no_grad():
        model(torch.full((4, 1), 9.0))
    assert not site.acted
    for _ in range(BATCHES):
        model(torch.tensor([[1.0], [3.0]]))
    model(torch.tensor([[100.0], [300.0]]))
    model.eval()
    with torch.no_grad():
        model(torch.tensor([[4.0]]))
    assert given[0][0].item() == 9.0
    assert given[1].flatten().tolist() == pytest.approx([-1.0, 1.0])
    assert given[-1].item() == pytest.approx(2.0)


def test_what_another_model_made_and_what_an_examination_asks_is_left(treated, monkeypatch):
    treated("scale_inputs")
    first, second, given = nn.Linear(1, 1), nn.Linear(1, 1), []
    second.register_forward_pre_hook(lambda _m, args: given.append(args[0]))
    made = first(torch.tensor([[1.0], [3.0]]))
    second(made)
    assert given[0] is made
    guard = Guard.__new__(Guard)
    guard.busy = True
    monkeypatch.setattr("torchdx.events.guard._RUNNING", [guard])
    x = torch.tensor([[1.0], [3.0]])
    second(x)
    assert given[1] is x
