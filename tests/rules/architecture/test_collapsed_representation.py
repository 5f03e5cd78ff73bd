import pytest
import torch
from torch import nn

from tests.rules.architecture.classified import FEATURES, fit, layered, only, rows
from tests.support import findings, observed
from torchdx.rules.architecture.collapsed_representation import ALIKE


class Placed(nn.Module):
    """Rows of three tokens with positions of a given size."""

    def __init__(self, size):
        super().__init__()
        self.token = nn.Linear(4, 16)
        self.position = nn.Parameter(size * torch.randn(3, 16))
        self.norm = nn.LayerNorm(16)
        self.mix, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x):
        hidden = self.norm(self.token(x.view(-1, 3, 4)) + self.position)
        return self.head(torch.tanh(self.mix(hidden)).mean(1))


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Linear(FEATURES, 16), nn.Linear(16, 8)

    def forward(self, x):
        return self.out(torch.tanh(self.inner(x)))


def near(embedded, which):
    """Pulls the rows of a class together, and nothing apart."""
    order = which.argsort(stable=True)
    return (embedded[order] - embedded[order.roll(1)]).pow(2).sum(1).mean()


def placed(tmp_path, size):
    return observed(fit(lambda: Placed(size)), tmp_path / "run.dx")


def embedded(tmp_path, loss=near, steps=100):
    return observed(fit(Embedder, loss=loss, steps=steps, rate=0.3), tmp_path / "run.dx")


def test_positions_that_drown_the_tokens_are_suspected_where_rows_look_alike(tmp_path):
    (finding,) = findings("A13", placed(tmp_path, 20.0))
    assert finding.severity == "suspicion"
    assert finding.place == "norm"
    assert "behind norm rows differ by" in finding.text
    assert "in token, before it" in finding.text
    assert finding.line.text == "self.norm = nn.LayerNorm(16)"


def test_positions_smaller_than_the_tokens_are_healthy(tmp_path):
    assert findings("A13", placed(tmp_path, 0.1)) == []


def test_a_loss_that_only_pulls_together_makes_all_answers_equal(tmp_path):
    (finding,) = findings("A13", embedded(tmp_path))
    assert finding.severity == "fault"
    assert finding.place == "out"
    assert "out puts out nearly the same for all rows" in finding.text
    assert "order.roll(1)" in finding.line.text


def test_the_same_loss_with_a_margin_is_healthy(tmp_path):
    def apart(embedded, which):
        close = near(embedded, which)
        far = (embedded[which == 0] - embedded[which == 1]).pow(2).sum(1)
        other = (embedded[which == 2] - embedded[which == 3]).pow(2).sum(1)
        return close + (4 - far).relu().mean() + (4 - other).relu().mean()

    assert findings("A13", embedded(tmp_path, loss=apart)) == []


@pytest.mark.parametrize(("spread", "found"), [(ALIKE, True), (ALIKE + 0.01, False)])
def test_the_limit_is_this_share(spread, found, tmp_path):
    record = only(placed(tmp_path, 0.1), row__spread={"norm": spread, "token": 0.7})
    assert bool(findings("A13", record)) is found


def test_layers_alike_for_a_while_only_are_healthy(tmp_path):
    record = placed(tmp_path, 0.1)
    series = record.signals["row.spread"]["norm"]
    series[:] = [(step, 0.05 if step < 12 else 0.5) for step, _ in series]
    assert findings("A13", record) == []


def test_a_layer_without_different_rows_before_it_is_left_alone(tmp_path):
    record = only(placed(tmp_path, 20.0), row__spread={"token": 0.01})
    assert findings("A13", record) == []


def test_a_branch_with_a_way_around_it_may_be_alike(tmp_path):
    class Skipping(Placed):
        def forward(self, x):
            token = self.token(x.view(-1, 3, 4))
            return self.head((token + self.mix(self.norm(token + self.position))).mean(1))

    record = observed(fit(lambda: Skipping(20.0)), tmp_path / "run.dx")
    assert all(value <= ALIKE for _, value in record.series("row.spread", "norm"))
    assert findings("A13", record) == []


def test_an_output_of_a_known_loss_may_be_nearly_constant(tmp_path):
    record = observed(fit(layered), tmp_path / "run.dx")
    only(record, row__spread={"4": 0.01})
    assert findings("A13", record) == []
    assert rows()[0].std() > 0.9


def test_a_few_steps_say_nothing(tmp_path):
    assert findings("A13", embedded(tmp_path, steps=5)) == []
    program = fit(lambda: Placed(20.0), steps=5)
    assert findings("A13", observed(program, tmp_path / "placed.dx")) == []
