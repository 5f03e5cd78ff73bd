"""The bound holds as often as it says, and follows from what its docstring says."""

import math

import pytest
import torch
from torch import nn

import torchdx as dx
from tests.curvatures.cases import exact, net
from torchdx.curvatures import bounds
from torchdx.curvatures.lanczos import Krylov
from torchdx.curvatures.spectrum import Spectrum

STARTS = 400


def spectra():
    g = torch.Generator().manual_seed(0)
    bulk = torch.rand(600, generator=g, dtype=torch.float64) * 0.05
    flat = torch.linspace(-1, 1, 600, dtype=torch.float64)
    return {
        "outliers": torch.cat([bulk, torch.tensor([1.0, 0.97, 0.5, -0.1], dtype=torch.float64)]),
        "hidden": torch.cat([bulk, torch.tensor([0.9, 0.9003], dtype=torch.float64)]),
        "no gap": flat,
    }


@pytest.mark.parametrize(
    "name", ["outliers", "hidden", pytest.param("no gap", marks=pytest.mark.slow)]
)
def test_in_400_starts_the_interval_of_99_percent_fails_in_four_at_most(name):
    values = spectra()[name]
    top, low = float(values.max()), float(values.min())
    failed = wrong = 0
    for seed in range(STARTS):
        found = dx.spectrum(lambda v: values * v, len(values), dtype=torch.float64, seed=seed)
        ends = found.extremes(products=14 if name == "no gap" else 60)
        failed += not (ends.highest.low <= top <= ends.highest.high)
        failed += not (ends.lowest.low <= low <= ends.lowest.high)
        wrong += ends.certified and abs(ends.highest.low - top) > 1e-3 * top
        assert ends.highest.low <= top * (1 + 1e-12)
        assert ends.lowest.high >= low - 1e-12
    assert failed <= STARTS // 100
    assert wrong < STARTS // 100


def test_the_bound_is_not_so_wide_that_it_could_not_fail():
    values = spectra()["hidden"]
    top = float(values.max())
    failed = 0
    for seed in range(STARTS):
        found = dx.spectrum(lambda v: values * v, len(values), dtype=torch.float64, seed=seed)
        ends = found.extremes(products=8, level=0.5)
        failed += not (ends.highest.low <= top <= ends.highest.high)
    assert failed >= STARTS // 100


@pytest.mark.slow
def test_a_warm_start_keeps_the_bound_even_from_the_wrong_vector():
    values = spectra()["outliers"]
    n, top = len(values), float(values.max())
    worst = torch.zeros(n, dtype=torch.float64)
    worst[n - 3] = 1.0
    failed = 0
    for seed in range(STARTS):
        found = Spectrum(lambda v: values * v, n, dtype=torch.float64, seed=seed, warm=worst)
        ends = found.extremes()
        failed += not (ends.highest.low <= top <= ends.highest.high)
    assert failed <= STARTS // 100


def test_the_growth_is_the_sum_of_squared_lanczos_polynomials():
    values = torch.linspace(-1, 3, 30, dtype=torch.float64)
    basis = Krylov(lambda v: values * v, 30, dtype=torch.float64, device=torch.device("cpu"))
    for _ in range(8):
        basis.extend()
    along_the_top = basis.vectors[:, -1] / basis.vectors[0, -1]  # p_i(3) by what it stands for
    grown = bounds.log_growth(3.0, basis.alphas[:7], basis.betas[:7])
    assert grown == pytest.approx(math.log(float(along_the_top.square().sum())), rel=1e-10)


def test_growth_begins_at_the_largest_ritz_value():
    values = torch.linspace(-1, 3, 30, dtype=torch.float64)
    basis = Krylov(lambda v: values * v, 30, dtype=torch.float64, device=torch.device("cpu"))
    for _ in range(7):
        basis.extend()
    top = basis.values[-1]
    assert bounds.log_growth(top - 1e-9, basis.alphas, basis.betas) == -math.inf
    assert math.isfinite(bounds.log_growth(top + 1e-9, basis.alphas, basis.betas))


def test_the_stop_is_the_bound_itself():
    values = spectra()["outliers"]
    found = dx.spectrum(lambda v: values * v, len(values), dtype=torch.float64)
    ends = found.extremes(1e-3)
    assert ends.certified
    assert ends.highest.high - ends.highest.low <= 1e-3 * ends.highest.high * 1.01
    assert found.products < 20


def test_too_few_products_give_a_wide_interval_that_still_holds():
    values = spectra()["outliers"]
    ends = dx.spectrum(lambda v: values * v, len(values), dtype=torch.float64).extremes(products=4)
    assert not ends.certified
    assert "wider than asked for" in str(ends)
    assert ends.highest.low <= 1 <= ends.highest.high


@pytest.mark.slow
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_on_a_net_400_starts_are_wrong_in_less_than_one_percent(activation):
    model, batch = net(activation, dtype=torch.float32)
    truth = torch.linalg.eigvalsh(exact(model.double(), (batch[0].double(), batch[1])))
    model.float()
    top, low = float(truth[-1]), float(truth[0])
    failed = wrong = 0
    for seed in range(STARTS):
        ends = dx.curvature(model, nn.CrossEntropyLoss(), batch, seed=seed).extremes()
        failed += not (ends.highest.low <= top <= ends.highest.high)
        failed += not (ends.lowest.low <= low <= ends.lowest.high)
        wrong += abs(ends.highest.low - top) > 1e-3 * top
    assert failed <= STARTS // 100
    assert wrong < STARTS // 100


def test_a_start_that_has_nothing_more_to_say_ends_the_search_in_single_precision_too():
    values = torch.tensor([1.0, -1.0, 0.5, 0.0]).repeat_interleave(200)
    found = dx.spectrum(lambda v: values * v, 800)
    ends = found.extremes()
    assert ends.certified
    assert found.products <= 6
    assert ends.highest.low <= 1 <= ends.highest.high
    assert ends.lowest.low <= -1 <= ends.lowest.high
