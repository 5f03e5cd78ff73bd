import math

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.studies import init_moments
from torchdx.lab.studies.init_moments import DEPTH, FORUM_MEAN, MEAN, STUDY, WIDTH

CLAIMS = {claim.name: claim for claim in STUDY.claims}
PLAIN = {
    "scalar-mean": ("scalar", "mean"),
    "scalar-square": ("scalar", "square"),
    "vector-mean": ("vector", "mean"),
    "vector-square": ("vector", "square"),
    "he-mean": ("vector", "he_mean"),
    "he-square": ("vector", "he_square"),
    "overflow": ("chain", "steps"),
}
LAST = {
    "nearly-all-zero": ("0.01", "watched_zeros"),
    "lsuv-one": ("LSUV", "watched_before"),
    "posted-is-batch-norm": ("0.01, normalised as posted", "mean_over_rows"),
}
GROWN = {
    "xavier-with-relu": "Xavier",
    "he-keeps-scale": "He",
    "no-relu-no-loss": "Xavier, no ReLU",
}


def layer(start, number=DEPTH, **told):
    return {"kind": "layers", "start": start, "layer": number, **told}


@pytest.mark.parametrize("name", PLAIN)
def test_moments_are_means_over_experiments(name):
    kind, column = PLAIN[name]
    assert words(CLAIMS[name], lambda v: [{"kind": kind, column: v}]) == ALL_THREE


@pytest.mark.parametrize("name", LAST)
def test_what_the_last_layer_puts_out_is_judged(name):
    start, column = LAST[name]
    rows = words(
        CLAIMS[name], lambda v: [layer(start, 1, **{column: 99.0}), layer(start, **{column: v})]
    )
    assert rows == ALL_THREE


@pytest.mark.parametrize("name", GROWN)
def test_growth_is_counted_in_decades_from_the_first_layer_to_the_last(name):
    def rows(value):
        return [layer(GROWN[name], 1, std=0.5), layer(GROWN[name], std=0.5 * 10**value)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_the_last_deviation_is_counted_in_decades():
    assert words(CLAIMS["vanishing"], lambda v: [layer("0.01", std=10**v)]) == ALL_THREE


@pytest.mark.parametrize("name", ["terms-do-not-add", "sum-is-normal"])
def test_the_vector_is_held_against_the_scalar(name):
    def rows(value):
        vector = {"kind": "vector", "mean": value * math.sqrt(WIDTH) / 3}
        return [{"kind": "scalar", "mean": 1 / 3}, vector]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_the_forum_is_noise_where_it_lies_near_the_mean_of_experiments():
    def rows(value):
        """Experiments with a deviation of 1 whose mean is so many deviations off."""
        return [{"kind": "vector", "mean": FORUM_MEAN - abs(value) + s} for s in (-1.0, 0.0, 1.0)]

    assert words(CLAIMS["forum-is-noise"], rows) == ALL_THREE


def test_two_normalisations_are_held_against_each_other():
    def rows(value):
        names = ("0.01, normalised as posted", "0.01, batch norm")
        return [layer(n, std=1.0 + v) for n, v in zip(names, (value, 0.0), strict=True)]

    assert words(CLAIMS["demonstration-is-blind"], rows) == ALL_THREE


def test_the_instrument_is_held_against_the_hand():
    def rows(value):
        return [
            layer("He", std=1.0, watched_std=1.0),
            layer("He", 2, std=2.0, watched_std=2 + 2 * value),
        ]

    assert words(CLAIMS["instrument"], rows) == ALL_THREE


def test_the_exact_mean_is_that_of_its_formula():
    assert abs(MEAN - 9.0226) < 1e-4


@pytest.mark.slow
def test_a_seed_yields_what_the_claims_and_the_figure_need(monkeypatch):
    monkeypatch.setattr(init_moments, "REPEATS", {"quick": 2})
    monkeypatch.setattr(init_moments, "VECTORS", 10)
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert abs(found["vanishing"] + 23.1) < 1
    assert found["instrument"] < 1e-4
    assert "LSUV" in STUDY.figure(rows).says
