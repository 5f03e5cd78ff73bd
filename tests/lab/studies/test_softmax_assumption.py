import numpy as np
import pytest
import torch

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.data import mnist
from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge
from torchdx.lab.studies import softmax_assumption as study
from torchdx.lab.studies.softmax_assumption import ARMS, NEW, ONE, OTHER, STUDY, TWO, auroc, drawn

CLAIMS = {claim.name: claim for claim in STUDY.claims}
MANY = 100


def images(arm, kind, **told):
    """One row an image, numbers given for each."""
    for values in zip(*told.values(), strict=True):
        row = dict(zip(told, values, strict=True))
        yield {"arm": arm, "kind": kind, **row}


def apart(arm, area):
    """An arm whose surest answers part known from unseen images with this AUROC, in steps."""
    above = round(min(max(area, 0), 1) * MANY)
    yield from images(arm, ONE, surest=[0.5] * MANY)
    yield from images(arm, NEW, surest=[0.4] * above + [0.6] * (MANY - above))


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        ("sigmoids-know-none", "sigmoids", "softmax"),
        ("none-class-is-wrong", "sigmoids", "softmax, none class"),
        ("none-class-works", "softmax, none class", "softmax"),
        ("none-class-matches-sigmoids", "sigmoids, shown none", "softmax, none class"),
    ],
)
def test_arms_are_compared_by_how_well_they_tell_the_unseen_apart(name, better, worse):
    def rows(value):
        return [*apart(better, 0.5 + value), *apart(worse, 0.5)]

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_images_in_which_something_is_said_to_be_are_counted():
    def rows(value):
        said = [int(n < (0.5 + value) * MANY) for n in range(MANY)]
        half = [int(n < 0.5 * MANY) for n in range(MANY)]
        return [*images("softmax", NEW, said=said), *images("sigmoids", NEW, said=half)]

    assert words(CLAIMS["softmax-sure-of-none"], rows) == ALL_THREE


def test_changes_under_an_offset_are_averaged():
    def rows(value):
        return [{"kind": "random", "arm": "softmax", "change": value}]

    def sheet(value):
        return [{"kind": "sheet", "arm": "sigmoids", "change": value}]

    assert words(CLAIMS["offset-vanishes"], rows) == ALL_THREE
    assert words(CLAIMS["offset-shows-in-sigmoids"], sheet) == ALL_THREE


def two(arm, hits):
    return images(arm, TWO, hits=hits, said=hits, there=[2] * len(hits))


def test_what_is_said_of_two_objects_is_compared_by_f1():
    def rows(value):
        found = round((0.4 + value) * 2 * MANY)  # of all there is, without a mistake
        hits = [min(2, max(0, found - 2 * n)) for n in range(MANY)]
        half = [1] * round(0.8 * MANY) + [0] * round(0.2 * MANY)
        return [*two("sigmoids, shown two", hits), *two("softmax, shown two", half)]

    assert words(CLAIMS["sigmoids-for-several"], rows) == ALL_THREE


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    rows = Rows.of(images("softmax", TWO, hits=[1, 1], said=[1, 3], there=[2, 2]))
    precision, recall = 2 / 4, 2 / 4
    expected = 2 * precision * recall / (precision + recall)
    assert study.f1(rows, "softmax") == pytest.approx(expected)


def test_one_image_in_which_softmax_names_both_is_too_many():
    claim = CLAIMS["two-cannot-both-win"]
    rows = words(claim, lambda v: two("softmax, shown two", [2] * round(v * 10) + [1] * 10))
    assert rows == ALL_THREE


def test_the_controls_see_a_difference_where_there_is_one():
    def right(value):
        count = round((0.5 + value) * MANY)
        one = images("sigmoids", ONE, right=[1.0] * count + [0.0] * (MANY - count))
        return [*one, *images("softmax", ONE, right=[1.0, 0.0] * (MANY // 2))]

    assert words(CLAIMS["alike-where-it-holds"], right) == ALL_THREE

    def halves(value):
        above = round(min(0.5 + value, 1) * MANY)
        sure = np.full(2 * MANY, 0.5)
        sure[1::2] = [0.4] * above + [0.6] * (MANY - above)
        plain = images("softmax", ONE, surest=[0.5] * 2 * MANY)
        return [*images("sigmoids", ONE, surest=sure.tolist()), *plain]

    assert words(CLAIMS["known-from-known"], halves) == ALL_THREE


def test_the_area_is_the_share_of_pairs_in_order():
    draw = np.random.default_rng(0)
    upper, lower = draw.integers(0, 5, 40), draw.integers(0, 4, 30)
    pairs = (upper[:, None] > lower) + 0.5 * (upper[:, None] == lower)
    assert auroc(upper, lower) == pytest.approx(pairs.mean())


def test_images_hold_what_their_kind_says():
    digits, draw = mnist().pooled(14), torch.Generator().manual_seed(0)
    for kind, classes in ((ONE, 1), (TWO, 2), (OTHER, 0), (NEW, 0)):
        pixels, truth = drawn(digits, kind, 50, draw)
        assert (truth.sum(1) == classes).all()
        halves = pixels.view(50, 14, 2, 14).transpose(1, 2)
        assert ((halves.sum((2, 3)) > 0).sum(1) == max(classes, 1)).all()


def test_a_run_gives_every_claim_its_columns(monkeypatch):
    monkeypatch.setattr(study, "STEPS", {"quick": 3})
    monkeypatch.setattr(study, "JUDGED", {"quick": 20})
    rows = Rows.of({"seed": 0, **row} for row in study.run("quick", 0))
    for claim in STUDY.claims:
        assert np.isfinite(claim.statistic(rows)), claim.name
    assert set(rows.distinct("arm")) >= set(ARMS)
    assert "%" in study.figure(rows).says
    assert judge(CLAIMS["two-cannot-both-win"], rows).effect.mean == 0
