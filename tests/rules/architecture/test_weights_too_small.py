import pytest
from torch import nn

from tests.rules.architecture.classified import fit, he, layered, rows
from tests.support import findings, observed
from torchdx.rules.architecture.weights_too_small import SMALL
from torchdx.rules.ranking import diagnose


def small(tmp_path, factor, *, between=nn.ReLU, rate=0.05):
    make = lambda: layered(between=between, begin=lambda layer: he(layer, factor))  # noqa: E731
    return observed(fit(make, rate=rate), tmp_path / "run.dx")


def test_weights_fifty_times_too_small_are_a_fault_at_the_first_of_them(tmp_path):
    record = small(tmp_path, 0.02)
    (finding,) = findings("A06", record)
    assert finding.severity == "fault"
    assert finding.place == "0"
    assert "of what keeps a signal's size, and 2 layers leave 0.000" in finding.text
    assert "100% of the run go by" in finding.text
    assert finding.excluded[0].code == "D02"
    assert diagnose(record).findings[0].code == "A06"


@pytest.mark.parametrize("begin", [he, None])
def test_hes_and_torchs_own_weights_are_healthy(begin, tmp_path):
    record = observed(fit(lambda: layered(begin=begin), rate=1e-4), tmp_path / "run.dx")
    assert findings("A06", record) == []


@pytest.mark.parametrize(("factor", "found"), [(0.7 * SMALL, True), (1.4 * SMALL, False)])
def test_the_limit_lies_between_these_factors(factor, found, tmp_path):
    assert bool(findings("A06", small(tmp_path, factor, rate=1e-3))) is found


def test_a_small_last_layer_is_good_practice(tmp_path):
    def net():
        made = layered(begin=he)
        he(made[-1], 0.001)
        return made

    assert findings("A06", observed(fit(net, rate=1e-4), tmp_path / "run.dx")) == []


def test_small_weights_that_learn_at_once_are_left_alone(tmp_path):
    record = small(tmp_path, 0.02)
    record.losses = [(step, loss / step) for step, loss in record.losses]
    assert findings("A06", record) == []


def test_a_norm_makes_up_for_small_weights(tmp_path):
    class Normed(nn.Sequential):
        def __init__(self):
            super().__init__(nn.LayerNorm(16), nn.ReLU())

    assert findings("A06", small(tmp_path, 0.02, between=Normed, rate=1e-5)) == []


def test_inputs_near_zero_are_another_fault(tmp_path):
    def net():
        return layered(begin=lambda layer: he(layer, 0.02))

    class Shrunk(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net()

        def forward(self, x):
            return self.inner(x / 1000)

    assert rows()[0].std() > 0.9
    assert findings("A06", observed(fit(Shrunk), tmp_path / "run.dx")) == []


def test_a_few_steps_say_nothing(tmp_path):
    make = lambda: layered(begin=lambda layer: he(layer, 0.02))  # noqa: E731
    assert findings("A06", observed(fit(make, steps=6), tmp_path / "run.dx")) == []
