import pytest
import torch
from torch import nn

from tests.rules.architecture.classified import FEATURES, fit, he, layered, only
from tests.rules.optimisation.runs import bounded
from tests.support import findings, observed


class Block(nn.Module):
    def __init__(self, norm, scale):
        super().__init__()
        self.norm, self.scale = norm(), scale
        self.inner = nn.Linear(16, 16)
        he(self.inner)

    def forward(self, x):
        return x + self.scale * torch.relu(self.inner(self.norm(x)))


def tower(blocks=10, *, norm=nn.Identity, scale=1.0):
    def make():
        inner = [Block(norm, scale) for _ in range(blocks)]
        return nn.Sequential(nn.Linear(FEATURES, 16), *inner, norm(), nn.Linear(16, 4))

    return make


def grown(tmp_path, make, rate=1e-4):
    return observed(fit(make, rate=rate), tmp_path / "run.dx")


def test_blocks_that_add_their_own_size_each_are_a_fault_with_both_growths(tmp_path):
    (finding,) = findings("A07", grown(tmp_path, tower()))
    assert finding.severity == "fault"
    assert "over 12 layers without a norm the signal grows" in finding.text
    assert "times that of a guess" in finding.text
    assert "return x + self.scale * torch.relu" in finding.line.text
    assert finding.excluded[0].code == "A05"
    assert finding.excluded[0].value < 2


def test_the_same_blocks_scaled_by_the_root_of_their_number_are_healthy(tmp_path):
    assert findings("A07", grown(tmp_path, tower(scale=10**-0.5))) == []


def test_the_same_blocks_behind_norms_are_healthy(tmp_path):
    norm = lambda: nn.LayerNorm(16)  # noqa: E731
    assert findings("A07", grown(tmp_path, tower(norm=norm))) == []


def test_two_blocks_have_no_depth(tmp_path):
    assert findings("A07", grown(tmp_path, tower(1))) == []


@pytest.mark.parametrize("signal", ["activation.mean", "output_gradient.rms"])
def test_growth_in_one_direction_alone_is_not_enough(signal, tmp_path):
    record = grown(tmp_path, tower())
    assert findings("A07", record)
    first, last = ("0", 1e6) if signal == "activation.mean" else ("0", 1e-9)
    only(record, **{signal.replace(".", "__"): {first: last}})
    assert findings("A07", record) == []


def test_a_net_whose_first_loss_is_sound_is_left_alone(tmp_path):
    record = grown(tmp_path, tower())
    for event in record.of("targets"):
        event.facts["first"]["loss"] = 1.4
    assert findings("A07", record) == []


def test_a_loss_that_is_not_finite_is_harm_enough(tmp_path):
    record = grown(tmp_path, tower())
    for event in record.of("targets"):
        event.facts["first"]["loss"] = 1.4
    record.losses.append((record.steps, float("nan")))
    (finding,) = findings("A07", record)
    assert "the loss is not finite later on" in finding.text


def test_weights_too_large_by_themselves_are_another_fault(tmp_path):
    make = lambda: layered(widths=(16,) * 5, begin=lambda layer: he(layer, 4.0))  # noqa: E731
    record = grown(tmp_path, make, rate=1e-6)
    assert findings("A07", record) == []
    assert findings("A05", record)


def test_where_the_rate_is_beyond_what_the_curvature_bears_its_interval_is_told(tmp_path):
    record = grown(tmp_path, tower())
    (plain,) = findings("A07", record)
    assert "what the curvature bears" not in plain.text
    (finding,) = findings("A07", bounded(record, 3.0, 3.5))
    assert "the rate is 3 to 3.5 times what the curvature bears (99%)" in finding.text
    assert finding.evidence[-1].value == 3
    (across,) = findings("A07", bounded(record, 0.9, 3.5))
    assert across.text == plain.text
