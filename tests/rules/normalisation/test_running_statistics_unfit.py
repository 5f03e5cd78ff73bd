import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import modes, norm, record
from tests.support import answers, findings, observed


def program(momentum):
    torch.manual_seed(0)
    x = 3 * torch.randn(64, 6) + 5
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16, momentum=momentum), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(62):
        optimizer.zero_grad()
        F.cross_entropy(net(x), torch.arange(64) % 3).backward()
        optimizer.step()


def run_with(*losses, first=2.0, **facts):
    """Probes from step 60 on: (with the batch's statistics, in evaluation)."""
    run = modes(record(), 1, train_loss=first, batch_loss=first, norms=[norm(seen=2, **facts)])
    for index, (own, running) in enumerate(losses):
        plain = {"off_mean": 0.7, "off_variance": 4.0}
        step = 60 * 3**index
        held = norm(**{"seen": step, "plain": plain, **facts})
        modes(run, step, batch_loss=own, eval_loss=running, norms=[held])
    return run


def test_statistics_that_hardly_move_are_found(tmp_path):
    (finding,) = findings("N02", observed(lambda: program(0.0005), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "in evaluation" in finding.text
    assert "momentum=momentum" in finding.line.text
    assert finding.prescriptions[0].to == "0.1"


def test_the_usual_momentum_is_silent(tmp_path):
    assert answers("N02", observed(lambda: program(0.1), tmp_path / "run.dx")) == []


@pytest.mark.parametrize(
    ("losses", "severity"),
    [
        ([(0.5, 1.5), (0.5, 1.4)], "fault"),
        ([(0.5, 0.9), (0.5, 0.9)], "suspicion"),
        ([(0.5, 0.79), (0.5, 1.4)], None),  # 19% lost at one of the two
        ([(0.5, 1.4), (0.5, 0.5)], None),  # it has caught up
        ([(0.5, 1.3)], "suspicion"),
        ([(0.5, 0.9)], None),  # the only probe, and less than half is lost
        ([(0.5, 0.4), (0.5, 0.4)], None),
    ],
)
def test_what_is_lost_at_the_last_two_probes_decides(losses, severity):
    found = findings("N02", run_with(*losses))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_the_numbers_and_the_layer_that_is_off_are_told():
    (finding,) = findings("N02", run_with((0.5, 1.5), (0.5, 1.4), momentum=0.001))
    assert "0.5 with its own statistics and 1.4 with the running ones" in finding.text
    assert "after 180 batches: in evaluation 63% of what was learnt is lost" in finding.text
    assert finding.place == "norm"
    assert finding.line.text == "self.drop = nn.Dropout(0.5)"


def test_the_first_batches_do_not_count():
    run = modes(record(), 1, train_loss=2.0, norms=[norm(seen=2)])
    for step in (20, 30):
        modes(run, step, batch_loss=0.5, eval_loss=2.0, norms=[norm(seen=step)])
    assert answers("N02", run) == []


@pytest.mark.parametrize(
    ("momentum", "per_channel", "found"),
    [
        (0.99, 32, True),
        (1.0, 32, True),
        (0.9, 32, True),
        (0.5, 32, False),
        (0.99, 2000, False),
        (None, 32, False),
    ],
)
def test_a_momentum_that_keeps_one_small_batch_alone_is_found(momentum, per_channel, found):
    facts = {"momentum": momentum, "train": {"per_channel": per_channel}}
    answered = findings("N02", run_with((0.5, 0.5), (0.5, 0.5), **facts))
    assert bool(answered) is found
    if found:
        assert f"has momentum={momentum:g}, the weight of the new batch" in answered[0].text
        assert "the last 32 values" in answered[0].text


def test_a_model_without_batch_norm_has_no_answer():
    run = modes(modes(record(), 60, eval_loss=9.0), 180, eval_loss=9.0)
    assert answers("N02", run) == []
