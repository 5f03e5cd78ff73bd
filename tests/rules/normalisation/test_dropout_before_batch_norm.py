import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import modes, norm, record
from tests.support import answers, findings, observed


def program(*between):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), *between, nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(24):
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(64, 6)), torch.arange(64) % 3).backward()
        optimizer.step()


def after(p=0.4, path="drop"):
    return {"function": "dropout", "dropout": True, "p": p, "path": path, "place": 3}


def shifted(ratio, *, direct=True, probes=2):
    run = record()
    for index in range(probes):
        train = {"after": after(), "direct": direct, "variance": 1.0}
        modes(run, 20 * 3**index, norms=[norm(train=train, plain={"variance": ratio})])
    return run


def test_dropout_just_before_batch_norm_is_found(tmp_path):
    def sick():
        program(nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(16))

    (finding,) = findings("N05", observed(sick, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.place == "3"
    assert "3 follows a dropout with p=0.5: in evaluation its input has" in finding.text
    assert finding.line.text.startswith("net = nn.Sequential(")


def test_the_usual_order_is_silent(tmp_path):
    def twin():
        program(
            nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 16), nn.BatchNorm1d(16)
        )

    assert answers("N05", observed(twin, tmp_path / "run.dx")) == []


@pytest.mark.parametrize(
    ("ratio", "found"), [(0.6, True), (0.89, True), (0.91, False), (1.0, False)]
)
def test_the_shift_of_variance_decides(ratio, found):
    assert bool(findings("N05", shifted(ratio))) is found


def test_weights_in_between_spread_the_shift():
    assert answers("N05", shifted(0.6, direct=False)) == []


def test_one_look_is_too_few():
    assert answers("N05", shifted(0.6, probes=1)) == []


def test_the_layer_that_is_shifted_most_is_named():
    run = record()
    for step in (20, 60):
        mild = norm(path="first", train={"after": after(), "direct": True}, plain={"variance": 0.8})
        strong = norm(train={"after": after(), "direct": True}, plain={"variance": 0.5})
        modes(run, step, norms=[mild, strong])
    (finding,) = findings("N05", run)
    assert finding.place == "norm"
    assert "50% of the variance" in finding.text
    assert "2 batch norms are given dropped values" in finding.text
    assert finding.line.text == "self.drop = nn.Dropout(0.5)"
