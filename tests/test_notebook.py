"""`with dx.watch(model, optimizer) as run:` in a notebook or a loop of one's own."""

import pytest
import torch
from torch import nn

import torchdx as dx
from tests.conftest import left_behind
from torchdx.errors import CallError
from torchdx.record.reader import read


def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Softmax(1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model, optimizer, steps=12):
    x, y = torch.randn(16, 6), torch.arange(16) % 4
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_findings_are_there_after_the_block_and_inside_it(tmp_path, capsys):
    model, optimizer = make()
    with dx.watch(model, optimizer, record=tmp_path / "run.dx") as run:
        train(model, optimizer)
        assert [finding.code for finding in run.findings] == ["L01"]
    assert [finding.code for finding in run.findings] == ["L01"]
    assert run.unclear == ()
    assert "L01 softmax-before-cross-entropy" in repr(run)
    error = capsys.readouterr().err
    assert error.count("softmax is applied twice") == 2, "once while it trains, once at the end"
    assert read(run.path).steps == 12


def test_what_was_made_before_the_block_has_its_names(tmp_path):
    model, optimizer = make()
    with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True) as run:
        train(model, optimizer)
    assert run.record.optimizers[1].parameters == ("0.weight", "0.bias")
    assert run.record.reached == {"0.weight", "0.bias"}


def test_a_model_that_was_not_named_is_met_at_its_first_forward(tmp_path):
    model, optimizer = make()
    with dx.watch(record=tmp_path / "run.dx", quiet=True) as run:
        train(model, optimizer)
    assert run.record.optimizers[1].parameters == ("0.weight", "0.bias")


def test_quiet_prints_nothing(tmp_path, capsys):
    model, optimizer = make()
    with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True):
        train(model, optimizer)
    assert capsys.readouterr() == ("", "")


def test_watching_changes_no_value_and_leaves_nothing(tmp_path):
    plain = train(*make())
    state = torch.get_rng_state()
    model, optimizer = make()
    with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True):
        watched = train(model, optimizer)
    assert watched == plain
    assert torch.equal(torch.get_rng_state(), state)
    assert left_behind() == []
    assert not model._forward_hooks
    assert not any("torchdx" in str(value) for value in vars(optimizer).values())


def test_the_users_exception_passes_through_and_the_run_is_judged(tmp_path):
    model, optimizer = make()
    seen = []

    def program():
        with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True) as run:
            seen.append(run)
            train(model, optimizer)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        program()
    (run,) = seen
    assert [finding.code for finding in run.findings] == ["L01"]
    assert left_behind() == []


def test_a_second_watch_is_refused_and_the_first_goes_on(tmp_path):
    model, optimizer = make()
    with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True) as run:
        with (
            pytest.raises(CallError, match="being watched already"),
            dx.watch(model, optimizer),
        ):
            pass
        train(model, optimizer)
    assert run.record.steps == 12
    with dx.watch(model, optimizer, record=tmp_path / "next.dx", quiet=True) as run:
        train(model, optimizer)
    assert run.record.steps == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model",), r"needs a torch.nn.Module, it was given a str"),
        ((None, "sgd"), r"needs a torch.optim.Optimizer, not a str"),
    ],
)
def test_a_wrong_argument_is_told_with_what_was_given(arguments, message):
    with pytest.raises(CallError, match=message), dx.watch(*arguments):
        pass


def test_a_record_that_is_in_the_way_is_kept(tmp_path):
    (tmp_path / "run.dx").write_text("precious")
    with (
        pytest.raises(CallError, match=r"there is a record .*run\.dx already"),
        dx.watch(*make(), record=tmp_path / "run.dx"),
    ):
        pass
    assert (tmp_path / "run.dx").read_text() == "precious"


def test_blocks_one_after_another_have_records_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, optimizer = make()
    paths = set()
    for _ in range(3):
        with dx.watch(model, optimizer, quiet=True) as run:
            train(model, optimizer)
        paths.add(run.path)
    assert len(paths) == 3
    assert all(read(path).steps == 12 for path in paths)
    assert not any(".rank" in path.name for path in paths)
