import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.rules.architecture.classified import FEATURES, fit, he, layered
from tests.support import findings, observed
from torchdx.rules.architecture.weights_too_large import GAIN


def large(tmp_path, factor, *, between=nn.ReLU, **options):
    make = lambda: layered(between=between, begin=lambda layer: he(layer, factor))  # noqa: E731
    return findings("A05", observed(fit(make, **options), tmp_path / "run.dx"))


def test_weights_eight_times_as_large_are_a_fault_with_all_their_layers(tmp_path):
    (finding,) = large(tmp_path, 8.0, rate=1e-3)
    assert finding.severity == "fault"
    assert finding.place == "0"
    assert "the weights of 0, 2, 4 begin too large" in finding.text
    assert "times that of a guess" in finding.text
    assert "linear = nn.Linear(inputs, outputs)" in finding.line.text
    (inputs,) = finding.excluded
    assert inputs.code == "D01"
    assert inputs.value == pytest.approx(1.0, abs=0.3)


def test_hes_weights_are_healthy(tmp_path):
    assert large(tmp_path, 1.0) == []


def test_saturated_tanh_units_are_harm_enough(tmp_path):
    (finding,) = large(tmp_path, 2.8, between=nn.Tanh)
    assert finding.severity in {"suspicion", "fault"}
    assert "of what the activation is given is where it is flat" in finding.text


@pytest.mark.parametrize(("gain", "found"), [(1.25 * GAIN, True), (0.75 * GAIN, False)])
def test_the_limit_lies_between_these_gains(gain, found, tmp_path):
    assert bool(large(tmp_path, gain / 2**0.5, rate=1e-3)) is found


def test_a_norm_behind_the_layer_makes_its_size_harmless(tmp_path):
    class Normed(nn.Sequential):
        def __init__(self):
            super().__init__(nn.LayerNorm(16), nn.ReLU())

    def net():
        made = layered(between=Normed, begin=lambda layer: he(layer, 8.0))
        he(made[-1], 0.5)
        return made

    assert findings("A05", observed(fit(net), tmp_path / "run.dx")) == []


def test_weights_that_the_forward_scales_itself_are_healthy(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(torch.randn(64, FEATURES) * 8)
            self.second = nn.Parameter(torch.randn(4, 64) * 8)

        def forward(self, x):
            hidden = torch.relu(functional.linear(x, self.first / 8 * FEATURES**-0.5))
            return functional.linear(hidden, self.second / 64)

    assert findings("A05", observed(fit(Scaled), tmp_path / "run.dx")) == []


def test_a_net_met_in_the_middle_of_its_training_is_left_alone(tmp_path):
    make = lambda: layered(begin=lambda layer: he(layer, 8.0))  # noqa: E731
    record = observed(fit(make, rate=1e-3), tmp_path / "run.dx")
    for series in record.signals["activation.gain"].values():
        del series[0]
    assert findings("A05", record) == []
