import math

import pytest

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab import data
from torchdx.lab.rows import Rows
from torchdx.lab.studies import output_bias
from torchdx.lab.studies.output_bias import ENTROPY, STUDY

CLAIMS = {claim.name: claim for claim in STUDY.claims}


def curves(task, early, late, *, arms=("default", "prior")):
    """The first arm's loss is higher by so much in the first steps, and at the end."""
    level = math.log(2) if task == "balanced" else ENTROPY
    for arm, more_early, more_late in ((arms[0], early, late), (arms[1], 0.0, 0.0)):
        for step in range(0, 300, 5):
            loss = level + 1.0 + (more_early if step < 50 else more_late if step >= 190 else 0.0)
            yield {"task": task, "arm": arm, "step": step, "loss": loss}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("hockey-stick", "rare"),
        ("hockey-stick-pre-trained", "pre-trained"),
        ("balanced-early", "balanced"),
    ],
)
def test_the_hockey_stick_is_the_excess_of_the_first_steps(name, task):
    assert words(CLAIMS[name], lambda v: curves(task, v, 0.0)) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("faster", "rare"),
        ("faster-raw", "rare, raw inputs"),
        ("faster-pre-trained", "pre-trained"),
        ("balanced-late", "balanced"),
    ],
)
def test_faster_is_a_lower_loss_later_on(name, task):
    assert words(CLAIMS[name], lambda v: curves(task, 0.0, v)) == ALL_THREE


def test_small_weights_are_held_against_the_default():
    def rows(value):
        return curves("rare", 0.0, value, arms=("default", "prior, small weights"))

    assert words(CLAIMS["faster-with-small-weights"], rows) == ALL_THREE


def test_steps_are_saved_until_the_loss_is_below_the_entropy():
    def rows(value):
        for arm, until in (("default", 50 + value), ("prior", 50.0)):
            for step in range(100):
                loss = ENTROPY + (0.1 if step < until else -0.01)
                yield {"task": "rare", "arm": arm, "step": step, "loss": loss}

    assert words(CLAIMS["steps-saved"], rows) == ALL_THREE


def test_the_first_loss_is_held_against_the_entropy():
    def rows(value):
        return [{"task": "rare", "arm": "prior", "step": 0, "loss": ENTROPY + value}]

    assert words(CLAIMS["first-loss"], rows) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "arm"), [("torchdx-names-it", "default"), ("torchdx-is-silent", "prior")]
)
def test_what_torchdx_says_is_counted(name, arm):
    assert words(CLAIMS[name], lambda v: [{"task": "watched", "arm": arm, "named": v}]) == ALL_THREE


@pytest.mark.slow
@pytest.mark.skipif(not data.FASHION_FILES.exists(), reason="no dataset-fashion-mnist here")
def test_a_seed_yields_what_the_claims_and_the_figure_need(monkeypatch):
    monkeypatch.setattr(output_bias, "STEPS", {"quick": 60})
    monkeypatch.setattr(output_bias, "PRETRAINED", 20)
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert abs(found["first-loss"]) < 0.02
    assert found["hockey-stick"] > 0.02 > abs(found["balanced-early"])
    assert STUDY.figure(rows).says.startswith("Rare class")
