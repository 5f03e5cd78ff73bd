import pytest
import torch

from tests.rules.loop.pieces import epoch, loader, net, sgd, step
from tests.support import answers, findings, observed


def run(start, tmp_path, *, epochs=5, shuffle=True, dropout=0.0):
    def program():
        torch.manual_seed(0)
        model, train = net(dropout=dropout), loader(shuffle=shuffle)
        optimizer = sgd(model)
        for number in range(epochs):
            start(number, model)
            epoch(model, optimizer, train)

    return observed(program, tmp_path / "run.dx")


def reseed(_number, _model):
    torch.manual_seed(7)


def test_a_seed_in_the_epoch_loop_is_found(tmp_path):
    (finding,) = findings("T12", run(reseed, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "torch.manual_seed(7)"
    assert "torch.manual_seed(7) was called 5 times" in finding.text
    assert "every 4 training steps" in finding.text


def test_a_seed_at_every_step_is_found(tmp_path):
    def program():
        model = net(dropout=0.5)
        optimizer = sgd(model)
        for _ in range(6):
            torch.manual_seed(1)
            step(model, optimizer)

    (finding,) = findings("T12", observed(program, tmp_path / "run.dx"))
    assert "every training step" in finding.text


def other_seed(number, _model):
    torch.manual_seed(number)


def sampled(_number, _model):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        torch.randn(3)


def restored(_number, _model):
    state = torch.get_rng_state()
    torch.manual_seed(7)
    torch.randn(3)
    torch.set_rng_state(state)


@pytest.mark.parametrize("start", [lambda *_: None, other_seed, sampled, restored])
def test_one_seed_or_numbers_set_apart_are_silent(start, tmp_path):
    assert answers("T12", run(start, tmp_path)) == []


def test_the_same_seed_for_each_fold_is_silent(tmp_path):
    def program():
        for _ in range(5):
            torch.manual_seed(7)
            model, train = net(dropout=0.3), loader()
            optimizer = sgd(model)
            epoch(model, optimizer, train)

    assert answers("T12", observed(program, tmp_path / "run.dx")) == []


def test_numbers_that_only_an_unshuffled_loader_draws_are_silent(tmp_path):
    assert answers("T12", run(reseed, tmp_path, shuffle=False)) == []
    assert findings("T12", run(reseed, tmp_path / "b", shuffle=False, dropout=0.3))


def test_three_epochs_are_too_few(tmp_path):
    assert answers("T12", run(reseed, tmp_path, epochs=3)) == []
