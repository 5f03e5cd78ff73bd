import torch
from torch import nn
from torch.nn import functional as fn

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(440, 20, generator=GENERATOR)
Y = (X[:, 0] + X[:, 1] + 1.5 * torch.randn(440, generator=GENERATOR) > 0).long()


def run(tmp_path, *, rows=40, epochs=40, decay=0.0, width=64, rate=0.01):
    """A net on few rows, judged on 200 others after each epoch."""

    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 2))
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        held_out, labels = X[240:], Y[240:]
        for _ in range(epochs):
            model.train()
            for at in torch.randperm(rows).split(20):
                optimizer.zero_grad()
                fn.cross_entropy(model(X[at]), Y[at]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                fn.cross_entropy(model(held_out), labels)

    return observed(program, tmp_path / "run.dx")


def test_a_validation_loss_that_turns_up_is_found_with_its_rise(tmp_path):
    (finding,) = findings("R03", run(tmp_path))
    assert finding.severity == "suspicion"
    assert finding.evidence


def test_a_linear_rate_of_learning_is_silent(tmp_path):
    assert not answers("R03", run(tmp_path, rows=240, rate=0.0005, epochs=20))


def test_a_small_net_on_enough_rows_is_silent(tmp_path):
    assert not answers("R03", run(tmp_path, rows=240, width=2, rate=0.003, epochs=20))


def test_a_few_validations_tell_nothing(tmp_path):
    assert not answers("R03", run(tmp_path, epochs=5))
