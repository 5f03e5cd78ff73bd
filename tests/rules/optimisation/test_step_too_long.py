import pytest
import torch
from torch import nn

from tests.rules.optimisation.runs import (
    adam,
    at_the_edge,
    bounded,
    classify,
    probed,
    run,
    sgd,
)
from tests.support import answers, findings
from torchdx.rules.optimisation.strides import beyond, curved


def slowly_diverging(path):
    """Least squares from weights that are large: the rate is 3% beyond what it bears."""

    def program():
        torch.manual_seed(0)
        x = torch.randn(64, 6)
        model = nn.Linear(6, 1, bias=False)
        nn.init.constant_(model.weight, 30.0)
        y = x @ torch.full((6, 1), 29.0)
        top = float(torch.linalg.eigvalsh(2 * x.T @ x / 64)[-1])
        optimizer = torch.optim.SGD(model.parameters(), lr=1.03 * 2 / top)
        for _ in range(80):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()

    return probed(program, path / "run.dx")


def test_steps_that_break_the_loss_are_found_with_their_length(tmp_path):
    (finding,) = findings("O01", run(tmp_path, sgd(20.0, momentum=0.9)))
    assert finding.severity == "fault"
    assert "20" in finding.text
    assert finding.evidence[0].value >= 0.5
    assert "SGD" in finding.line.text or "sgd" in finding.line.text


def test_adam_at_a_thousandfold_rate_is_found(tmp_path):
    assert findings("O01", run(tmp_path, adam(3.0)))


@pytest.mark.parametrize("make", [sgd(0.05), sgd(0.05, momentum=0.9), adam(0.003)])
def test_rates_that_learn_are_silent(make, tmp_path):
    assert not answers("O01", run(tmp_path, make))


def test_a_long_first_step_after_which_the_loss_falls_is_silent(tmp_path):
    assert not answers("O01", classify(tmp_path, 1.6))


def test_one_step_shows_no_harm(tmp_path):
    assert not answers("O01", run(tmp_path, adam(3.0), steps=1))


def test_a_loss_that_rises_slowly_is_found_by_the_interval_of_its_curvature(tmp_path):
    (finding,) = findings("O01", slowly_diverging(tmp_path))
    assert finding.severity == "fault"
    assert "was 1.03 to 1.03 times what the curvature bears at step" in finding.text
    (evidence,) = finding.evidence
    assert evidence.value == pytest.approx(1.03, rel=1e-2)
    assert "99%: at most 1.03" in evidence.what


def test_an_interval_across_the_limit_proves_nothing(tmp_path):
    record = slowly_diverging(tmp_path)
    assert not answers("O01", bounded(record, 0.97, 1.05))
    assert answers("O01", bounded(record, 1.01, 1.05))


def test_bounds_that_a_record_does_not_have_prove_nothing(tmp_path):
    record = slowly_diverging(tmp_path)
    for event in record.probes("sharpness"):
        del event.facts["low"], event.facts["high"]
    assert curved(record) == []
    assert not answers("O01", record)


def test_training_at_the_edge_of_stability_is_no_fault(tmp_path):
    record = at_the_edge(tmp_path / "run.dx")
    assert beyond(record) is not None  # the whole interval lies above the limit
    assert not any(answers(code, record) for code in ("O01", "O17", "A07"))
