"""Weights out of files of any usual form, into the model that they are of and into no other."""

import pytest
import torch
from torch import nn

from torchdx.errors import CallError
from torchdx.trials import checkpoint


def net(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


def read(path):
    return checkpoint.read(str(path))


def in_form(form, model):
    state = model.state_dict()
    return {
        "plain": state,
        "model": {"epoch": 3, "model": state},
        "state_dict": {"state_dict": state, "lr": 0.1},
        "model_state_dict": {"model_state_dict": state},
        "parallel": {f"module.{name}": t for name, t in state.items()},
        "compiled and parallel": {"model": {f"module._orig_mod.{n}": t for n, t in state.items()}},
    }[form]


@pytest.mark.parametrize(
    "form",
    ["plain", "model", "state_dict", "model_state_dict", "parallel", "compiled and parallel"],
)
def test_weights_are_found_in_every_usual_form(tmp_path, form):
    torch.manual_seed(0)
    saved, fresh = net(), net()
    torch.save(in_form(form, saved), tmp_path / "a.pt")
    checkpoint.load(read(tmp_path / "a.pt"), fresh)
    pairs = zip(saved.state_dict().values(), fresh.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_safetensors_are_read_too(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    saved, fresh = net(), net()
    safetensors.save_file(saved.state_dict(), tmp_path / "a.safetensors")
    checkpoint.load(read(tmp_path / "a.safetensors"), fresh)
    assert torch.equal(saved[0].weight, fresh[0].weight)


def test_another_models_weights_are_refused_with_what_does_not_fit(tmp_path):
    torch.save(net(5).state_dict(), tmp_path / "a.pt")
    model = net()
    before = model[2].bias.detach().clone()
    with pytest.raises(CallError, match=r"2 of the 9 tensors of Sequential fit") as refused:
        checkpoint.load(read(tmp_path / "a.pt"), model)
    assert "0.weight is (4, 3) in the model, (5, 3) in the file" in str(refused.value)
    assert "and 4 more" in str(refused.value)
    assert torch.equal(model[2].bias, before)


def test_a_part_that_the_model_has_no_place_for_is_refused(tmp_path):
    torch.save({**net().state_dict(), "3.weight": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(CallError, match=r"3\.weight of the file is not in the model"):
        checkpoint.load(read(tmp_path / "a.pt"), net())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: torch.save(net(), p), "holds more than weights"),
        (lambda p: torch.save([1, 2], p), "holds a list, no state dict"),
        (lambda p: torch.save({"epoch": 1, "loss": 0.5}, p), r"no weights by name \(it has epoch"),
        (lambda p: p.write_text("print('no weights')"), "is no checkpoint"),
        (lambda p: p.write_bytes(b""), "checkpoint"),
    ],
    ids=["a whole model", "a list", "no weights", "a script", "empty"],
)
def test_what_is_no_checkpoint_is_refused_in_one_message(tmp_path, make, message):
    make(tmp_path / "a.pt")
    with pytest.raises(CallError, match=message) as refused:
        read(tmp_path / "a.pt")
    assert str(refused.value).startswith("a.pt ")


def test_the_optimizers_state_comes_with_the_weights_or_it_is_said_that_it_does_not(tmp_path):
    model = net()
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(4, 3)).sum().backward()
    adam.step()
    torch.save({"model": model.state_dict(), "optimizer": adam.state_dict()}, tmp_path / "a.pt")
    torch.save(model.state_dict(), tmp_path / "b.pt")
    fresh = torch.optim.Adam(model.parameters(), lr=0.2)
    assert "is that of the file" in checkpoint.load_stepper(read(tmp_path / "a.pt"), fresh)
    assert fresh.param_groups[0]["lr"] == 0.1
    assert "has no state of it" in checkpoint.load_stepper(read(tmp_path / "b.pt"), fresh)
