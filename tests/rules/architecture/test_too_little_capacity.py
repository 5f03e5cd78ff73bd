import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.rules.probed import probe, record
from tests.support import answers, findings, observed
from torchdx.rules.ranking import diagnose


def program(width, last=None, loss=F.cross_entropy):
    """Rows around eight places; which one is to be told."""
    generator = torch.Generator().manual_seed(1)
    places = 4 * torch.randn(8, 20, generator=generator)
    which = torch.arange(64) % 8
    x = places[which] + torch.randn(64, 20, generator=generator)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, width), nn.Sigmoid(), nn.Linear(width, 8))
    net = nn.Sequential(net, last or nn.Identity())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(185):
        optimizer.zero_grad()
        loss(net(x), which).backward()
        optimizer.step()


def fit(**facts):
    plain = {"head": "classes", "rows": 64, "outputs": 8, "reference": 2.0, "start": 1.8}
    plain |= {"best": 1.2, "fitted": False, "gradient": 0.4, "score": 0.3, "control": 0.8}
    return probe(record(), "one-batch", 180, **{**plain, **facts})


def test_one_hidden_unit_for_eight_classes_is_found(tmp_path):
    (finding,) = findings("A08", observed(lambda: program(1), tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert "cannot fit one batch of 64 rows at any step size" in finding.text
    assert "narrowest: 0.0, 1 wide" in finding.text
    assert "nn.Linear(20, width)" in finding.line.text


def test_a_wide_enough_layer_is_silent(tmp_path):
    assert answers("A08", observed(lambda: program(32), tmp_path / "run.dx")) == []


def test_a_batch_that_can_be_fitted_is_another_fault():
    assert answers("A08", fit(fitted=True, best=0.05)) == []


@pytest.mark.parametrize(
    ("score", "control", "found"),
    [
        (0.3, 0.8, True),
        (0.6, 0.73, True),
        (0.6, 0.72, False),
        (0.8, 0.7, False),
        (0.3, None, False),
    ],
)
def test_what_the_inputs_tell_has_to_be_clearly_more(score, control, found):
    assert bool(findings("A08", fit(score=score, control=control))) is found


@pytest.mark.parametrize(("control", "found"), [(0.65, True), (0.55, False)])
def test_of_values_it_is_the_variance_explained(control, found):
    assert bool(findings("A08", fit(head="values", score=0.5, control=control))) is found


@pytest.mark.parametrize(
    ("head", "score", "words"),
    [
        ("classes", 0.3, "it gets 30% of them right"),
        ("values", 0.4, "it explains 40% of the targets' variance"),
        ("values", -3e12, "farther from the targets than their mean"),
    ],
)
def test_what_the_net_gets_is_told_in_the_units_of_its_targets(head, score, words):
    (finding,) = findings("A08", fit(head=head, score=score, control=0.99))
    assert words in finding.text


@pytest.mark.parametrize(
    ("cause", "last", "loss"),
    [
        pytest.param("L14", nn.ReLU(), F.cross_entropy, id="scores that cannot be negative"),
        pytest.param("L01", nn.Softmax(dim=1), F.cross_entropy, id="a softmax too many"),
    ],
)
def test_a_loss_that_no_net_can_lower_is_why_one_batch_is_not_fitted(tmp_path, cause, last, loss):
    record = observed(lambda: program(1, last, loss), tmp_path / "run.dx")
    assert findings("A08", record)
    diagnosis = diagnose(record)
    assert cause in {f.code for f in diagnosis.findings}
    assert ("A08", cause) in {(f.code, by) for f, by in diagnosis.silenced}


def test_a_net_that_no_gradient_reaches_is_not_too_small():
    assert answers("A08", fit(gradient=0.0)) == []


def test_a_fit_that_ran_out_of_time_gives_no_answer():
    run = probe(record(), "one-batch", 180, because="fitting one batch took longer than its limit")
    assert answers("A08", run) == []
