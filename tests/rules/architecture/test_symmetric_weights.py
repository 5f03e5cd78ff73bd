import torch
from torch import nn

from tests.rules.architecture.classified import FEATURES, fit, he, layered
from tests.support import findings, observed


def equal(linear):
    nn.init.constant_(linear.weight, 0.1)
    nn.init.zeros_(linear.bias)


def alike(tmp_path, make, **options):
    return findings("A04", observed(fit(make, **options), tmp_path / "run.dx"))


def test_layers_that_begin_constant_are_a_fault_with_what_they_count_for(tmp_path):
    (finding,) = alike(tmp_path, lambda: layered(between=nn.Tanh, begin=equal))
    assert finding.severity == "fault"
    assert finding.confidence == "certain"
    assert finding.place == "0"
    assert "100% of the 16 units of 0 equal another one" in finding.text
    assert "so it is in 2 layers" in finding.text
    assert "linear = nn.Linear(inputs, outputs)" in finding.line.text


def test_random_weights_are_healthy(tmp_path):
    assert alike(tmp_path, lambda: layered(between=nn.Tanh)) == []


def test_units_copied_in_pairs_stay_pairs_and_with_noise_part(tmp_path):
    def paired(noise):
        net = layered(widths=(16,), between=nn.Tanh)
        with torch.no_grad():
            net[0].weight[8:] = net[0].weight[:8] + noise * torch.randn(8, FEATURES)
            net[0].bias[8:] = net[0].bias[:8]
            net[2].weight[:, 8:] = net[2].weight[:, :8]
        return net

    assert alike(tmp_path, lambda: paired(0.0))
    assert alike(tmp_path / "noise", lambda: paired(0.01)) == []


def test_hidden_layers_of_zeros_never_move(tmp_path):
    def zeros(linear):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)

    (finding,) = alike(tmp_path, lambda: layered(begin=zeros))
    assert "all weights of 0 are 0, and after 15 steps still are" in finding.text


def test_a_last_layer_of_zeros_is_good_practice(tmp_path):
    def net():
        made = layered()
        nn.init.zeros_(made[-1].weight)
        return made

    assert alike(tmp_path, net) == []


def test_an_adapter_that_begins_at_zero_is_healthy(tmp_path):
    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(FEATURES, 16).requires_grad_(requires_grad=False)
            self.down = nn.Linear(FEATURES, 2, bias=False)
            self.up, self.out = nn.Linear(2, 16, bias=False), nn.Linear(16, 4)
            nn.init.zeros_(self.up.weight)

        def forward(self, x):
            return self.out(torch.relu(self.base(x) + self.up(self.down(x))))

    assert alike(tmp_path, Adapted) == []


def test_matrices_whose_rows_are_inputs_are_judged_as_a_whole(tmp_path):
    class Matrices(nn.Module):
        def __init__(self, begin):
            super().__init__()
            self.w1 = nn.Parameter(begin(FEATURES, 16))
            self.w2 = nn.Parameter(begin(16, 16))
            self.w3 = nn.Parameter(torch.randn(16, 4))
            self.dark = FEATURES // 2

        def forward(self, x):
            x = torch.cat([torch.zeros_like(x[:, : self.dark]), x[:, self.dark :]], 1)
            return torch.tanh(torch.tanh(x @ self.w1) @ self.w2) @ self.w3

    dark = alike(tmp_path, lambda: Matrices(lambda *shape: torch.full(shape, 0.1)))
    assert {finding.place for finding in dark} <= {"w2"}
    assert alike(tmp_path / "random", lambda: Matrices(lambda *s: torch.randn(s) / 4)) == []


def test_two_steps_are_too_few_to_tell(tmp_path):
    assert alike(tmp_path, lambda: layered(between=nn.Tanh, begin=equal), steps=3) == []


def test_weights_that_became_equal_later_began_otherwise(tmp_path):
    record = observed(fit(lambda: layered(begin=he)), tmp_path / "run.dx")
    series = record.signals["weight.alike"]["0.weight"]
    series[:] = [(step, float(step >= 4)) for step, _ in series]
    assert findings("A04", record) == []
