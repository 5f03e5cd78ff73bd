import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import modes, norm, record
from tests.support import answers, findings, observed


def program(batch, *, conv=False):
    torch.manual_seed(0)
    x, y = torch.randn(batch, 1, 6, 6), torch.arange(batch) % 3
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)] if conv else [nn.Flatten()]
    layers += [nn.Flatten(), nn.Linear(64 if conv else 36, 8)]
    layers += [] if conv else [nn.BatchNorm1d(8)]
    net = nn.Sequential(*layers, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(24):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def test_two_rows_are_a_fault(tmp_path):
    (finding,) = findings("N01", observed(lambda: program(2), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "over 2 values, those of a batch of 2 rows: they become +1 and -1" in finding.text
    assert "nn.BatchNorm1d(8)" in finding.line.text


def test_thirty_two_rows_are_silent(tmp_path):
    assert answers("N01", observed(lambda: program(32), tmp_path / "run.dx")) == []


def test_one_image_has_a_value_at_every_place(tmp_path):
    assert answers("N01", observed(lambda: program(1, conv=True), tmp_path / "run.dx")) == []


@pytest.mark.parametrize(
    ("values", "severity"), [(2, "fault"), (3, "suspicion"), (4, "suspicion"), (5, None)]
)
def test_the_fewer_values_the_surer(values, severity):
    small = norm(train={"per_channel": values})
    run = modes(modes(record(), 1, norms=[small]), 19, norms=[small])
    assert [f.severity for f in findings("N01", run)] == ([severity] if severity else [])


def test_the_short_batch_at_the_end_does_not_count():
    run = modes(record(), 1, norms=[norm(train={"per_channel": 32})])
    modes(run, 19, norms=[norm(train={"per_channel": 2})])
    assert answers("N01", run) == []


def test_one_look_is_too_few():
    assert answers("N01", modes(record(), 1, norms=[norm(train={"per_channel": 2})])) == []


def test_gradient_accumulation_does_not_help(tmp_path):
    def accumulating():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for step in range(80):
            loss = F.cross_entropy(net(torch.randn(4, 6)), torch.arange(4) % 3)
            (loss / 4).backward()
            if step % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()

    (finding,) = findings("N01", observed(accumulating, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "known to within 82%" in finding.text
