import pytest
from torch import nn

from tests.rules.architecture.classified import fit, he, layered, only
from tests.support import findings, observed
from torchdx.rules.ranking import diagnose


def deep(tmp_path, *, between=nn.Sigmoid, layers=5, **options):
    program = fit(lambda: layered(widths=(16,) * layers, between=between, begin=he), **options)
    return observed(program, tmp_path / "run.dx")


def test_seven_sigmoids_leave_nothing_for_the_first_layer(tmp_path):
    (finding,) = findings("A03", deep(tmp_path, layers=7))
    assert finding.severity == "fault"
    assert finding.place == "0"
    assert "7 layers in a row end in sigmoid, and each leaves 0.2 of" in finding.text
    assert "100% of the run go by" in finding.text
    assert "loss(net(x), which).backward()" in finding.line.text
    (weights,) = finding.excluded
    assert weights.code == "A06"
    assert 1.0 < weights.value < 2.0


def test_the_layers_that_look_alike_for_it_are_only_its_symptom(tmp_path):
    diagnosis = diagnose(deep(tmp_path))
    assert diagnosis.findings[0].code == "A03"
    assert "A13" not in {finding.code for finding in diagnosis.findings}


@pytest.mark.parametrize("between", [nn.ReLU, nn.Tanh])
def test_the_same_depth_with_relu_or_tanh_is_healthy(between, tmp_path):
    assert findings("A03", deep(tmp_path, between=between)) == []


def test_three_such_layers_are_enough_and_two_are_not(tmp_path):
    (finding,) = findings("A03", deep(tmp_path, layers=3, rate=0.01))
    assert finding.severity == "suspicion"
    assert findings("A03", deep(tmp_path / "two", layers=2, rate=0.01)) == []


def test_a_norm_in_front_of_each_activation_ends_the_row(tmp_path):
    class Normed(nn.Sequential):
        def __init__(self):
            super().__init__(nn.LayerNorm(16), nn.Sigmoid())

    assert findings("A03", deep(tmp_path, between=Normed)) == []


def test_a_run_that_is_not_held_up_is_left_alone(tmp_path):
    record = deep(tmp_path)
    record.losses = [(step, loss / step) for step, loss in record.losses]
    assert findings("A03", record) == []


def test_a_gradient_that_the_weights_shrink_is_not_the_activations_doing(tmp_path):
    program = fit(
        lambda: layered(widths=(16,) * 4, between=nn.Tanh, begin=lambda layer: he(layer, 0.05)),
    )
    record = observed(program, tmp_path / "run.dx")
    assert findings("A03", record) == []
    assert findings("A06", record)


def test_a_run_without_gradients_of_outputs_says_nothing(tmp_path):
    record = deep(tmp_path)
    only(record, output_gradient__rms={"0": 0.0})
    assert findings("A03", record) == []
    assert findings("A03", deep(tmp_path / "short", steps=5)) == []
