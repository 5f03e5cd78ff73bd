import pytest
import torch
from torch import nn

from tests.rules.architecture.classified import ROWS, fit, layered, only
from tests.support import findings, observed
from torchdx.rules.architecture.dead_units import BLOCKED, DEAD


def low(linear, bias=-6.0):
    nn.init.kaiming_normal_(linear.weight)
    nn.init.constant_(linear.bias, bias if linear.out_features == 16 else 0.0)


def dead(tmp_path, begin=low, **options):
    return observed(fit(lambda: layered(begin=begin), **options), tmp_path / "run.dx")


def test_a_net_whose_units_are_all_below_zero_is_a_fault_at_its_first_layer(tmp_path):
    (finding,) = findings("A02", dead(tmp_path))
    assert finding.severity == "fault"
    assert finding.place == "0"
    assert "100% of the units of 0 were never above zero" in finding.text
    assert "from the first steps on" in finding.text
    assert "nothing in front of it learns" in finding.text
    assert finding.excluded[0].code == "O01"


def test_the_same_net_with_biases_of_zero_is_healthy(tmp_path):
    assert findings("A02", dead(tmp_path, begin=lambda linear: low(linear, 0.0))) == []


@pytest.mark.parametrize(
    ("share", "blocked", "found"),
    [
        (DEAD, BLOCKED, True),
        (DEAD - 0.01, 1.0, False),
        (1.0, BLOCKED - 0.01, False),
    ],
)
def test_half_the_units_and_nearly_all_of_the_gradient_are_asked_for(
    share, blocked, found, tmp_path
):
    record = dead(tmp_path, begin=None)
    only(record, unit__dead={"0": share}, output_gradient__zeros={"0": blocked})
    told = findings("A02", record)
    assert bool(told) is found
    assert all(f.severity == "suspicion" and f.place == "0" for f in told)


def test_units_that_died_later_ask_for_a_smaller_step(tmp_path):
    record = dead(tmp_path, begin=None)
    only(record, output_gradient__zeros={"0": 0.97})
    series = record.signals["unit.dead"]["0"]
    series[:] = [(step, 0.1 if step < 12 else 0.7) for step, _ in series]
    (finding,) = findings("A02", record)
    assert "in the first steps 10%" in finding.text
    assert finding.prescriptions[0].change == "step_size"
    assert finding.excluded == ()


def test_leaky_units_below_zero_are_not_dead(tmp_path):
    program = fit(lambda: layered(begin=low, between=nn.LeakyReLU))
    assert findings("A02", observed(program, tmp_path / "run.dx")) == []


def test_frozen_layers_and_values_that_something_else_reads_too_are_left_alone(tmp_path):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.out = nn.Linear(12, 16), nn.Linear(32, 4)
            low(self.inner)

        def forward(self, x):
            h = self.inner(x)
            return self.out(torch.cat([torch.relu(h), torch.relu(-h)], 1))

    assert findings("A02", observed(fit(Both), tmp_path / "run.dx")) == []
    record = dead(tmp_path / "frozen")
    for optimizer in record.optimizers.values():
        optimizer.parameters = ("4.weight",)
    assert findings("A02", record) == []


def test_a_batch_norm_stands_for_the_layer_that_it_follows(tmp_path):
    def net():
        norm = nn.BatchNorm1d(16)
        nn.init.constant_(norm.bias, -9.0)
        return nn.Sequential(nn.Linear(12, 16), norm, nn.ReLU(), nn.Linear(16, 4))

    (finding,) = findings("A02", observed(fit(net), tmp_path / "run.dx"))
    assert finding.place == "1"


def test_a_few_steps_or_a_few_rows_say_nothing(tmp_path):
    assert findings("A02", dead(tmp_path, steps=7)) == []
    record = dead(tmp_path / "rows")
    rows = record.signals["batch.rows"]
    assert all(value == ROWS for _, value in next(iter(rows.values())))
    only(record, batch__rows=dict.fromkeys(rows, 7.0))
    assert findings("A02", record) == []
