import math

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.studies import residual
from torchdx.lab.studies.residual import DEEP, SHALLOW, STUDY

CLAIMS = {claim.name: claim for claim in STUDY.claims}


def trained(shortcut, depth, value, labels="true"):
    told = {"labels": labels, "depth": depth, "shortcut": shortcut}
    return {"part": "trained", **told, "loss": value, "evaluated": value, "error": value}


@pytest.mark.parametrize(
    ("name", "shortcut"),
    [
        ("plain-nets-degrade", "plain"),
        ("residual-nets-do-not", "A"),
        ("depth-helps-residual-nets", "A"),
    ],
)
def test_deep_nets_are_held_against_shallow_ones_of_their_kind(name, shortcut):
    def rows(value):
        return [trained(shortcut, SHALLOW, 0.5), trained(shortcut, DEEP, 0.5 + value)]

    assert words(CLAIMS[name], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("shortcuts-cure-it", "true"),
        ("cured-in-evaluation", "true"),
        ("shuffled-labels", "shuffled"),
    ],
)
def test_the_cure_is_what_depth_harms_plain_nets_more(name, labels):
    def rows(value):
        yield trained("plain", SHALLOW, 0.5, labels)
        yield trained("plain", DEEP, 1.5 + value, labels)
        yield trained("A", SHALLOW, 0.4, labels)
        yield trained("A", DEEP, 1.4, labels)

    assert words(CLAIMS[name], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "one", "other"), [("b-beats-a", "B", "A"), ("c-beats-b", "C", "B")]
)
def test_kinds_of_shortcuts_are_compared_by_their_test_errors(name, one, other):
    def rows(value):
        return [trained(one, SHALLOW, 0.1 - value), trained(other, SHALLOW, 0.1)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_every_shortcut_helps_only_where_the_worst_one_does():
    def rows(value):
        yield trained("plain", SHALLOW, 1.0)
        yield trained("A", SHALLOW, 0.1)
        yield trained("B", SHALLOW, 1.0 - value)
        yield trained("C", SHALLOW, 0.1)

    claim = CLAIMS["every-shortcut-helps"]
    assert words(claim, lambda v: rows(min(v, 0.9))) == ALL_THREE
    assert claim.statistic(Rows.of(rows(0.2))) == pytest.approx(0.2)


def layer(shortcut, depth, when, response, *, number=1, gradient=1.0):
    told = {"shortcut": shortcut, "depth": depth, "when": when, "layer": number}
    return {"part": "layer", **told, "response": response, "gradient": gradient}


@pytest.mark.parametrize(
    ("name", "when"), [("responses-are-smaller", "end"), ("responses-at-the-start", "start")]
)
def test_responses_of_plain_and_residual_nets_are_compared(name, when):
    def rows(value):
        return [layer("plain", DEEP, when, 1.0 + value), layer("A", DEEP, when, 1.0)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_responses_of_deep_and_shallow_residual_nets_are_compared():
    def rows(value):
        return [layer("A", SHALLOW, "end", 1.0 + value), layer("A", DEEP, "end", 1.0)]

    assert words(CLAIMS["responses-shrink-with-depth"], rows) == ALL_THREE


def test_gradients_are_healthy_where_first_and_last_layer_get_alike():
    def rows(value):
        yield layer("plain", DEEP, "start", 1.0, number=1, gradient=10.0**value)
        yield layer("plain", DEEP, "start", 1.0, number=2, gradient=77.0)
        yield layer("plain", DEEP, "start", 1.0, number=3)

    assert words(CLAIMS["gradients-are-healthy"], rows) == ALL_THREE


@pytest.mark.slow
def test_a_seed_yields_what_claims_and_figure_need_and_controls_are_null(monkeypatch):
    monkeypatch.setattr(residual, "DURATION", {"quick": 3})
    monkeypatch.setattr(residual, "DEPTHS", {"quick": (8, 14)})
    monkeypatch.setattr(residual, "SHALLOW", 8)
    monkeypatch.setattr(residual, "DEEP", 14)
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert abs(found["responses-at-the-start"]) < 1e-3
    assert abs(found["shuffled-labels"]) < 0.1
    assert rows.distinct("shortcut") == ["plain", "A", "B", "C"]
    assert "plain nets" in STUDY.figure(rows).says
