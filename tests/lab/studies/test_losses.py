import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge
from torchdx.lab.studies import losses
from torchdx.lab.studies.losses import CROSS, HINGE, SQUARE, STUDY, UNDECIDED, UNIT_RATE, WRONG

CLAIMS = {claim.name: claim for claim in STUDY.claims}


def pair(part, start, column, square, cross, **more):
    for loss, value in ((SQUARE, square), (CROSS, cross)):
        yield {"part": part, "start": start, "loss": loss, column: value, **more}


@pytest.mark.parametrize(
    ("name", "part", "start"),
    [
        ("unit-learns-faster", "unit", WRONG),
        ("unit-faster-at-best-rate", "unit", WRONG),
        ("images-learnt-faster", "race", UNDECIDED),
    ],
)
def test_steps_are_compared_in_powers_of_two(name, part, start):
    def rows(value):
        return [*pair(part, start, "steps", 1000 * 2**value, 1000, rate=UNIT_RATE)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_each_loss_has_the_rate_that_suits_it_best():
    rows = [
        *pair("race", UNDECIDED, "steps", 800, 100, rate=1.0),
        *pair("race", UNDECIDED, "steps", 200, 800, rate=5.0),
    ]
    assert CLAIMS["images-learnt-faster"].statistic(Rows.of(rows)) == 1


def test_a_wrong_start_is_held_against_an_undecided_one():
    def rows(value):
        return [
            *pair("race", WRONG, "steps", 1000 * 2 ** (1 + value), 1000),
            *pair("race", UNDECIDED, "steps", 2000, 1000),
        ]

    assert words(CLAIMS["images-learnt-faster-when-wrong"], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "start"), [("unit-held-back", WRONG), ("undecided-unit-not-held-back", UNDECIDED)]
)
def test_first_speeds_are_compared_in_powers_of_ten(name, start):
    def rows(value):
        return [*pair("unit", start, "first_speed", 0.1, 0.1 * 10**value, rate=UNIT_RATE)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_gradients_of_the_first_step_are_compared():
    def norms(value):
        return [*pair("first step", WRONG, "gradient", 2.0, 2 * 10**value)]

    assert words(CLAIMS["gradient-vanishes-when-wrong"], norms) == ALL_THREE

    def slopes(value):
        return [*pair("first step", UNDECIDED, "slope", 9.0, value)]

    assert words(CLAIMS["flat-at-the-start"], slopes) == ALL_THREE

    def ratio(value):
        return [{"part": "ratio", "ratio": 57 * (1 + value), "predicted": 57.0}]

    assert words(CLAIMS["ratio-of-gradients"], ratio) == ALL_THREE


def test_the_two_cross_entropies_are_compared():
    def gap(value):
        scores = ((0.0, 1.0), (1.0, 2.0 + value))
        return [{"part": "score", "first": a, "second": b} for a, b in scores]

    assert words(CLAIMS["variants-just-offset"], gap) == ALL_THREE

    def higher(value):
        second = 1 - abs(value - 1) - 0.05  # above as many of ten as the share says
        return [{"part": "score", "first": n / 10, "second": second} for n in range(10)]

    assert words(CLAIMS["variant-is-higher"], higher) == ALL_THREE

    def accuracy(value):
        listed = (("first", 0.9), ("second", 0.9 + value), ("second", 0.1))
        return [{"part": "variant", "loss": loss, "accuracy": a} for loss, a in listed]

    assert words(CLAIMS["variants-do-not-matter"], accuracy) == ALL_THREE
    example = CLAIMS["worked-example"]
    assert words(example, lambda v: [{"part": "example", "first": v}]) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "loss", "clouds"),
    [
        ("hinge-stops", HINGE, "apart"),
        ("cross-entropy-goes-on", CROSS, "apart"),
        ("rest-where-clouds-overlap", CROSS, "overlapping"),
    ],
)
def test_growth_is_a_slope_over_the_late_steps(name, loss, clouds):
    def rows(value):
        for step in (1, 2000, 5000, 10_000):
            norm = 99.0 if step == 1 else 3 + value * math.log(step)
            yield {"part": "margin", "loss": loss, "clouds": clouds, "step": step, "norm": norm}

    found = words(CLAIMS[name], lambda value: [*rows(value)])
    assert found == ALL_THREE


def test_losses_are_those_of_torch():
    scores, labels = torch.randn(7, 10), torch.randint(10, (7,))
    wanted = functional.one_hot(labels, 10).float()
    square = functional.mse_loss(scores.sigmoid(), wanted) * 10 / 2
    cross = functional.binary_cross_entropy_with_logits(scores, wanted) * 10
    assert losses.by_class(SQUARE, scores, labels) == pytest.approx(square.item(), rel=1e-5)
    assert losses.by_class(CROSS, scores, labels) == pytest.approx(cross.item(), rel=1e-5)
    plain = losses.variant(scores, labels, all_=False)
    assert plain == pytest.approx(functional.cross_entropy(scores, labels).item(), rel=1e-5)
    both = functional.binary_cross_entropy(scores.softmax(1), wanted) * 10
    assert losses.variant(scores, labels, all_=True) == pytest.approx(both.item(), rel=1e-5)


def test_a_stack_of_nets_is_judged_net_by_net():
    scores, labels = torch.randn(3, 7, 10), torch.randint(10, (7,))
    for loss in (SQUARE, CROSS):
        each = torch.stack([losses.by_class(loss, member, labels) for member in scores])
        assert torch.allclose(losses.by_class(loss, scores, labels), each)


def test_the_exact_claims_and_the_controls_hold():
    parts = (losses._units, lambda seed: losses._margins(10_000, seed))
    rows = Rows.of(
        {"seed": seed, **row} for seed in range(5) for part in parts for row in part(seed)
    )
    exact = (
        "ratio-of-gradients",
        "hinge-stops",
        "undecided-unit-not-held-back",
        "rest-where-clouds-overlap",
    )
    for name in exact:
        assert judge(CLAIMS[name], rows).word == "reproduced", name


def test_a_run_gives_every_claim_its_columns(monkeypatch):
    monkeypatch.setattr(losses, "STEPS", {"quick": 3})
    monkeypatch.setattr(losses, "MARGIN_STEPS", {"quick": 100})
    rows = Rows.of({"seed": 0, **row} for row in losses.run("quick", 0))
    for claim in STUDY.claims:
        assert np.isfinite(claim.statistic(rows)), claim.name
    assert "times as many" in losses.figure(rows).says
