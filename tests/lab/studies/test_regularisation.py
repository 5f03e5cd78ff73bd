import numpy as np
import pytest
import torch

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge
from torchdx.lab.studies import regularisation
from torchdx.lab.studies.regularisation import GRID, STUDY, kl, ridge

CLAIMS = {claim.name: claim for claim in STUDY.claims}


@pytest.mark.parametrize(
    ("name", "prior", "column"),
    [
        ("ridge-is-gaussian-prior", "Gauss", "difference"),
        ("lasso-is-laplace-prior", "Laplace", "difference"),
        ("lasso-penalty-as-written", "Laplace", "without_rows"),
    ],
)
def test_the_largest_difference_of_weights_is_judged(name, prior, column):
    def rows(value):
        return [{"part": "prior", "prior": prior, column: v} for v in (0.0, value)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_zeros_of_the_most_likely_weights_are_held_against_those_of_the_mean():
    def rows(value):
        zeros = {"zeros": 0.5 + value, "zeros_of_mean": 0.5}
        return [{"part": "prior", "prior": "Laplace", **zeros}]

    assert words(CLAIMS["most-likely-is-sparse"], rows) == ALL_THREE


def trade(times, bias2, variance, case="noisy", **more):
    found = {"times": times, "bias2": bias2, "variance": variance}
    return {"part": "trade", "case": case, **found, **more}


@pytest.mark.parametrize(
    ("name", "case"), [("some-ridge-is-better", "noisy"), ("nothing-to-gain-from-plenty", "plenty")]
)
def test_what_the_penalty_that_suits_gains_is_a_share_of_the_total(name, case):
    def rows(value):
        return [trade(0.0, 0.0, 2.0, case), trade(1.0, 1.0, 1 - 2 * value, case)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_the_fall_of_the_variance_is_a_share():
    def rows(value):
        return [trade(0.0, 0.0, 2.0), trade(1.0, 9.0, 2 - 2 * value)]

    assert words(CLAIMS["ridge-varies-less"], rows) == ALL_THREE


def test_bias_is_a_power_of_the_penalty():
    def rows(value):
        return [trade(0.0, 0.0, 1.0), *(trade(t, (0.1 * t**value) ** 2, 1.0) for t in GRID)]

    assert words(CLAIMS["bias-proportional-to-penalty"], rows) == ALL_THREE


def test_the_spread_of_the_total_error_is_a_logarithm():
    def rows(value):
        return [trade(0.0, 0.0, 1.0), trade(1.0, 0.5, float(np.exp(value)) - 0.5)]

    assert words(CLAIMS["total-error-constant"], rows) == ALL_THREE
    assert CLAIMS["total-error-constant"].statistic(Rows.of(rows(-1.0))) == pytest.approx(1.0)


def test_refits_are_held_against_bias_and_variance():
    def rows(value):
        return [trade(t, 0.5, 1.5, refitted=2 * (1 + value)) for t in (0.0, 1.0)]

    assert words(CLAIMS["refits-agree"], rows) == ALL_THREE


def test_the_smallest_eigenvalue_is_judged():
    def rows(value):
        return [{"part": "singular", "with_penalty": value}]

    assert words(CLAIMS["ridge-is-always-there"], rows) == ALL_THREE


def arms(column, **values):
    return [
        {"part": "sparse", "arm": arm.replace("_", ", "), column: value}
        for arm, value in values.items()
    ]


def test_hidden_layers_are_compared_by_what_was_measured():
    off = CLAIMS["kl-sets-the-average"]
    assert words(off, lambda v: arms("off", sigmoid_KL=v)) == ALL_THREE
    on = CLAIMS["kl-makes-sparse"]
    assert words(on, lambda v: arms("on", sigmoid=0.5 + v, sigmoid_KL=0.5)) == ALL_THREE
    zeros = CLAIMS["zeros-need-relu-and-l1"]

    def share(value):
        return arms("zeros", ReLU_L1=0.4 + value, ReLU=0.4, sigmoid_KL=0.1)

    assert words(zeros, share) == ALL_THREE
    own = {"sigmoid": 0.5, "sigmoid, KL to own": 0.0}

    def kept(value):
        return arms("activation", **(own | {"sigmoid, KL to own": 0.5 + value}))

    assert words(CLAIMS["asked-for-what-is"], kept) == ALL_THREE


def test_the_better_strength_of_kl_is_held_against_none():
    def rows(value):
        gentle = {"sigmoid, gentle KL": 0.9 + value}
        return arms("accuracy", sigmoid=0.9, sigmoid_KL=0.1, **gentle)

    assert words(CLAIMS["kl-generalises"], rows) == ALL_THREE


def test_strengths_are_chosen_on_other_images_than_they_are_judged_on():
    def rows(value):
        listed = (
            ("dropout", 0.1, 0.95, 0.8 + value),
            ("dropout", 0.5, 0.9, 1.0),
            ("decay", 0.01, 0.9, 0.8),
            ("decay", 0.001, 0.8, 0.1),
        )
        names = ("arm", "strength", "chosen_on", "judged_on")
        return [{"part": "dropped"} | dict(zip(names, row, strict=True)) for row in listed]

    assert words(CLAIMS["dropout-beats-decay"], rows) == ALL_THREE


def test_the_gradient_of_kl_is_the_textbooks():
    q = torch.tensor([0.3, 0.05, 0.9], dtype=torch.float64, requires_grad=True)
    kl(q, 0.05).sum().backward()
    assert torch.allclose(q.grad, -0.05 / q + 0.95 / (1 - q))
    assert kl(q, 0.05)[1].item() == pytest.approx(0, abs=1e-12)


def test_ridge_without_a_penalty_is_least_squares():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(20, 3)), draw.normal(size=20)
    assert ridge(x, y, 0.0) == pytest.approx(np.linalg.lstsq(x, y)[0])


def test_the_mean_under_a_laplace_prior_is_that_of_an_integral():
    """One feature, so that the posterior can be summed up on a grid."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(40, 1))
    y = x[:, 0] * 0.5 + draw.normal(0, 2, 40)
    grid = np.linspace(-3, 3, 20_001)
    fit = ((y[:, None] - x * grid) ** 2).sum(0) / (2 * regularisation.NOISE)
    log = -fit - np.abs(grid) / regularisation.WIDTH
    weight = np.exp(log - log.max())
    exact = (grid * weight).sum() / weight.sum()
    assert regularisation._laplace_mean(x, y, 6000, 0)[0] == pytest.approx(exact, abs=0.02)


def test_the_exact_claims_and_the_control_hold():
    def made(seed):
        yield from regularisation._priors(seed, 20)
        for case in ("noisy", "plenty"):
            yield from regularisation._trade(seed, 50, case)

    rows = Rows.of({"seed": seed, **row} for seed in range(5) for row in made(seed))
    exact = ("ridge-is-gaussian-prior", "lasso-is-laplace-prior", "nothing-to-gain-from-plenty")
    for name in exact:
        assert judge(CLAIMS[name], rows).word == "reproduced"
    assert judge(CLAIMS["lasso-penalty-as-written"], rows).word == "not reproduced"
    assert "%" in regularisation.figure(rows).says


def test_a_run_gives_every_claim_its_columns(monkeypatch):
    for name, value in {"PROBLEMS": 1, "REFITS": 50, "SWEEPS": 20, "STEPS": 3}.items():
        monkeypatch.setattr(regularisation, name, {"quick": value})
    rows = Rows.of({"seed": 0, **row} for row in regularisation.run("quick", 0))
    for claim in STUDY.claims:
        assert np.isfinite(claim.statistic(rows)), claim.name
