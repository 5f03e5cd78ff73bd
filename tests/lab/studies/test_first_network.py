import math

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.studies import first_network
from torchdx.lab.studies.first_network import LINES, STUDY

CLAIMS = {claim.name: claim for claim in STUDY.claims}


def curve(arm, step, loss=1.0, train=0.5, test=0.5):
    return {"part": "curve", "arm": arm, "step": step, "loss": loss, "train": train, "test": test}


def test_the_end_is_the_last_step():
    def rows(value):
        yield curve("relu", 5_000, test=value)
        yield curve("relu", 100, test=9.0)

    assert words(CLAIMS["test-accuracy"], rows) == ALL_THREE


def test_shuffled_labels_are_judged_at_the_end_too():
    def rows(value):
        yield curve("shuffled labels", 0, test=9.0)
        yield curve("shuffled labels", 1_000, test=value)

    assert words(CLAIMS["shuffled-labels"], rows) == ALL_THREE


@pytest.mark.parametrize(("name", "at"), [("test-below-train", 5_000), ("no-gap-at-the-start", 0)])
def test_the_gap_is_between_rows_trained_on_and_others(name, at):
    def rows(value):
        yield curve("relu", at, train=0.5 + value, test=0.5)
        yield curve("relu", 2_000, train=0.9, test=0.1)

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_the_first_loss_is_that_before_any_step():
    def rows(value):
        return [curve("relu", 0, loss=value), curve("relu", 100, loss=0.1)]

    assert words(CLAIMS["loss-at-the-start"], rows) == ALL_THREE


def test_steps_are_counted_until_nine_of_ten_are_right():
    def rows(value):
        yield curve("relu", 0, train=0.1)
        yield curve("relu", value, train=0.9)
        yield curve("relu", value + 100, train=0.95)

    claim = CLAIMS["steps-to-90"]
    assert claim.statistic(Rows.of(rows(300))) == 300
    assert words(claim, rows) == ALL_THREE
    never = Rows.of([curve("relu", 0), curve("relu", 700, train=0.8)])
    assert claim.statistic(never) == 700


@pytest.mark.parametrize("arm", ["tanh", "sigmoid"])
def test_activations_are_compared_by_the_loss_of_the_first_steps(arm):
    def rows(value):
        yield curve(arm, 0, loss=99.0)
        yield curve(arm, 500, loss=1.0 + value)
        yield curve("relu", 0, loss=7.0)
        yield curve("relu", 500, loss=1.0)
        yield curve("relu", 3_000, loss=55.0)

    assert words(CLAIMS[f"relu-beats-{arm}"], rows) == ALL_THREE


def test_hidden_layers_are_judged_by_what_they_add():
    def rows(value):
        yield curve("relu", 5_000, test=0.5 + value)
        yield curve("no hidden layer", 5_000, test=0.5)

    assert words(CLAIMS["hidden-layers-help"], rows) == ALL_THREE


def test_any_fault_speaks_against_the_instrument():
    def rows(value):
        return [{"part": "verdict", "arm": "relu", "faults": value}]

    assert words(CLAIMS["no-fault-found"], rows) == ALL_THREE


@pytest.mark.slow
def test_a_seed_yields_what_claims_and_figure_need_and_controls_are_null(monkeypatch):
    monkeypatch.setattr(first_network, "DURATION", {"quick": 200})
    monkeypatch.setattr(first_network, "SHORT", {"quick": 200})
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert found["no-fault-found"] == 0.0
    assert abs(found["no-gap-at-the-start"]) < 0.05
    assert abs(found["shuffled-labels"] - 0.1) < 0.06
    assert tuple(rows.where(part="curve").distinct("arm")) == LINES
    assert "shuffled labels" in STUDY.figure(rows).says
