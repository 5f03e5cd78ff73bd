import json
import math
import random

import pytest
import torch
from torch import nn

from tests.support import observed
from torchdx.instruments import histograms
from torchdx.record.histograms import (
    BINS,
    EDGES,
    NOT_FINITE,
    ZERO,
    packed,
    shares,
    unpacked,
)
from torchdx.record.model import Record
from torchdx.record.reader import read_entries


class Same(nn.Module):
    """Puts out given values, whatever goes in, and lets gradients through."""

    def __init__(self, values):
        super().__init__()
        self.register_buffer("values", values)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.values + self.weight * x.sum()


def record_of(model, tmp_path, *, steps=3, backwards=1):
    """The record of a few steps that leave all weights as they are."""
    inputs = torch.ones(4, 6)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(backwards):
                model(inputs).sum().backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx")


def bin_of(value):
    """Found one after another; the reference."""
    return next((i for i, edge in enumerate(EDGES) if value <= edge), BINS - 1)


def histogram(values, tmp_path):
    record = record_of(Same(torch.tensor(values)), tmp_path, steps=1)
    ((step, found),) = record.histograms["activation"][""]
    assert step == 1
    return {index: share for index, share in enumerate(found) if share}


def test_every_value_is_in_the_bin_between_its_edges(tmp_path):
    values = [-3e4, -1.5, -1e-6, 0.0, 3e-8, 0.25, 0.6, 5.0, 1e4, 1e30]
    assert histogram(values, tmp_path) == dict.fromkeys(map(bin_of, values), 100)


def test_dead_units_saturated_ones_and_neighbours_are_told_apart(tmp_path):
    found = histogram([0.0, 0.0, -0.0, 1.0, 0.999, -1.0, 0.95, 1.05, 1e-30, -1e-30], tmp_path)
    assert found.pop(ZERO) == 300
    assert found == {
        bin_of(1.0): 200,
        bin_of(-1.0): 100,
        bin_of(0.95): 100,
        bin_of(1.05): 100,
        ZERO + 1: 100,
        ZERO - 1: 100,
    }


def test_what_is_not_finite_lies_outermost_and_one_such_value_is_told(tmp_path):
    values = [math.nan, math.inf, -math.inf] + [0.5] * 4000
    found = histogram(values, tmp_path)
    assert found == {NOT_FINITE[0]: 1, bin_of(0.5): 999, NOT_FINITE[1]: 1}


def test_vanishing_and_exploding_layers_stand_in_one_picture(tmp_path):
    torch.manual_seed(0)
    small, large = nn.Linear(6, 500), nn.Linear(500, 500)
    with torch.no_grad():
        small.weight.mul_(1e-6)
        small.bias.zero_()
        large.weight.mul_(1e12)
        large.bias.zero_()
    record = record_of(nn.Sequential(small, large), tmp_path, steps=1)
    middles = []
    for place in "01":
        ((_, found),) = record.histograms["activation"][place]
        total, middle = 0, ZERO
        while total < sum(found) / 2:
            total += found[middle] + found[2 * ZERO - middle] * (middle > ZERO)
            middle += 1
        middles.append(EDGES[middle - 1])
    assert middles[0] < 1e-5
    assert middles[1] > 1e4


def test_gradients_by_output_are_counted_too(tmp_path):
    model = nn.Sequential(nn.Linear(6, 8), nn.Hardtanh(0, 1e-3), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[2].weight.fill_(-0.25)
    record = record_of(model, tmp_path, steps=1)
    seen = {place: found[0][1] for place, found in record.histograms["output_gradient"].items()}
    assert list(seen) == ["2", "1", "0"]
    assert seen["2"][bin_of(1.0)] == 1000
    assert seen["1"][bin_of(-0.5)] == 1000
    assert seen["0"][ZERO] == 1000


class Growing(Same):
    """Puts out ten times as much at each call."""

    def forward(self, x):
        self.values.mul_(10)
        return super().forward(x)


def test_the_first_of_several_backward_passes_stands_for_its_step(tmp_path):
    record = record_of(Growing(torch.full((4,), 1e-7)), tmp_path, steps=3, backwards=4)
    found = record.histograms["activation"][""]
    assert [step for step, _ in found] == [1, 2, 3]
    assert [list(row).index(1000) for _, row in found] == [bin_of(v) for v in (1e-6, 1e-2, 1e2)]


def test_later_steps_have_ever_fewer(tmp_path):
    record = record_of(nn.Linear(6, 2), tmp_path, steps=400)
    steps = [step for step, _ in record.histograms["activation"][""]]
    assert steps[: histograms.DENSE] == list(range(1, histograms.DENSE + 1))
    assert 10 < len(steps) < 30
    assert steps[-1] > 100


def test_about_forty_steps_of_a_hundred_thousand_have_one():
    sparse = histograms.Sparse(histograms.DENSE, histograms.RATIO)
    assert 30 <= sum(sparse.due(step) for step in range(1, 100_001)) <= 45


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_counted_alike(dtype, tmp_path):
    record = record_of(Same(torch.tensor([0.25, 3.0], dtype=dtype)), tmp_path, steps=1)
    ((_, found),) = record.histograms["activation"][""]
    assert found[bin_of(0.25)] == found[bin_of(3.0)] == 500


def test_neither_random_state_nor_deterministic_algorithms_are_touched(tmp_path):
    torch.manual_seed(0)
    random.seed(0)
    before = torch.get_rng_state(), random.getstate()
    torch.use_deterministic_algorithms(True)
    try:
        record = record_of(Same(torch.ones(4)), tmp_path)
    finally:
        torch.use_deterministic_algorithms(False)
    assert record.histograms
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_samples_with_gaps_are_counted_without_a_warning(tmp_path):
    torch.set_warn_always(True)  # this one comes once in a process
    try:
        record = record_of(Same(torch.tensor([0.25, 0.5])[::2].expand(8)), tmp_path, steps=1)
    finally:
        torch.set_warn_always(False)
    ((_, found),) = record.histograms["activation"][""]
    assert found[bin_of(0.25)] == 1000


def test_a_hundred_layers_at_forty_steps_stay_far_below_a_megabyte(tmp_path):
    torch.manual_seed(0)
    layers = [part for _ in range(10) for part in (nn.Linear(64, 64), nn.ReLU(), nn.LayerNorm(64))]
    model = nn.Sequential(*layers)

    def program():
        model(torch.randn(64, 64)).square().mean().backward()

    observed(program, tmp_path / "run.dx")
    entries = [e for e in read_entries(tmp_path / "run.dx").entries if e["e"] == "histograms"]
    assert [len(entry["shares"]) for entry in entries] == [30, 30]
    written = sum(len(json.dumps(entry, separators=(",", ":"))) for entry in entries)
    assert written / 30 * 100 * 40 < 750_000


def test_runs_of_empty_bins_are_packed_and_unpacked():
    assert packed([0, 0, 5, 0, 7, 0, 0]) == [-2, 5, -1, 7]
    assert packed([]) == []
    draw = random.Random(0)
    for _ in range(50):
        whole = [draw.choice([0, 0, 0, 1, 20, 1000]) for _ in range(BINS)]
        assert unpacked(packed(whole)) == whole


def test_shares_are_permille_of_all():
    counts = [0] * BINS
    counts[ZERO], counts[ZERO + 9], counts[NOT_FINITE[1]] = 1, 2, 0
    found = shares(counts)
    assert (found[ZERO], found[ZERO + 9], sum(found)) == (333, 667, 1000)


def test_a_record_without_histograms_has_none():
    record = Record()
    record.apply({"e": "totals", "steps": 3, "backwards": 3, "shapes": {}, "graphs": {}}
                 | {"optimizers": {}, "schedulers": {}})  # fmt: skip
    assert record.histograms == {}
