"""How well rows are answered: the same number whatever function the program minimises."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchdx.graph import heads
from torchdx.trials.scores import Answers, answers_of, scores

LABELS = torch.tensor([0, 1, 2, 0, 0, 1])
RAW = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))


def scored(loss: torch.Tensor) -> dict[str, float]:
    """The scores of the rows that a loss was computed from."""
    head = heads.read(loss)
    assert head is not None
    return scores("rows", [answers_of(head)])


def raw(values: torch.Tensor = RAW) -> torch.Tensor:
    """An answer that autograd follows."""
    return values.clone().requires_grad_() * 1.0


def truth(values: torch.Tensor = RAW, labels: torch.Tensor = LABELS) -> float:
    return float(F.cross_entropy(values.double(), labels))


def test_cross_entropy_is_itself():
    found = scored(F.cross_entropy(raw(), LABELS))
    right = (RAW.argmax(1) == LABELS).double()
    assert 0 < right.mean() < 1
    assert found["rows.loss"] == pytest.approx(truth(), abs=1e-6)
    assert found["rows.accuracy"] == pytest.approx(float(right.mean()))
    recall = sum(float(right[c == LABELS].mean()) for c in range(3)) / 3
    assert found["rows.recall"] == pytest.approx(recall)
    assert found["rows.rows"] == 6


@pytest.mark.parametrize(
    "loss",
    [
        lambda: F.cross_entropy(raw().softmax(1), LABELS),
        lambda: F.cross_entropy(raw().softmax(1).reshape(6, 3), LABELS),
        lambda: F.cross_entropy(raw().log_softmax(1), LABELS),
        lambda: F.nll_loss(raw().log_softmax(1), LABELS),
        lambda: F.nll_loss(raw(), LABELS),
        lambda: F.nll_loss(raw().softmax(1), LABELS),
        lambda: F.cross_entropy(raw(), LABELS, reduction="sum"),
        lambda: F.cross_entropy(raw(), LABELS, label_smoothing=0.1),
        lambda: F.cross_entropy(raw(), LABELS, weight=torch.tensor([1.0, 5.0, 9.0])),
        lambda: F.cross_entropy(raw(), LABELS) * 1000 + 7,
    ],
    ids=[
        "softmax twice",
        "softmax twice, laid out anew",
        "log-softmax twice",
        "as it should be",
        "scores for log-probabilities",
        "probabilities for log-probabilities",
        "a sum",
        "smoothed",
        "weighted",
        "scaled",
    ],
)
def test_the_same_answers_have_the_same_loss_whatever_is_minimised(loss):
    assert scored(loss())["rows.loss"] == pytest.approx(truth(), abs=1e-5)


def test_rows_that_are_ignored_are_not_asked():
    labels = LABELS.clone()
    labels[:2] = -100
    found = scored(F.cross_entropy(raw(), labels))
    assert found["rows.rows"] == 4
    assert found["rows.loss"] == pytest.approx(truth(RAW[2:], LABELS[2:]), abs=1e-6)
    zero = scored(F.cross_entropy(raw(), LABELS, ignore_index=0))
    assert zero["rows.rows"] == 3


def test_soft_targets_count_by_their_shares():
    shares = 0.9 * F.one_hot(LABELS, 3) + 0.1 / 3
    found = scored(F.cross_entropy(raw(), shares))
    assert found["rows.loss"] == pytest.approx(float(F.cross_entropy(RAW, shares)), abs=1e-5)
    right = (RAW.argmax(1) == LABELS).double().mean()
    assert found["rows.accuracy"] == pytest.approx(float(right))


def test_places_are_rows():
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    found = scored(F.cross_entropy(raw(images), labels))
    assert found["rows.rows"] == 32
    assert found["rows.loss"] == pytest.approx(float(F.cross_entropy(images, labels)), abs=1e-5)


UNITS = torch.tensor([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0]])


@pytest.mark.parametrize(
    "loss",
    [
        lambda z: F.binary_cross_entropy_with_logits(z, UNITS),
        lambda z: F.binary_cross_entropy(z.sigmoid(), UNITS),
        lambda z: F.binary_cross_entropy_with_logits(z.sigmoid(), UNITS),
        lambda z: F.binary_cross_entropy_with_logits(z.sigmoid().view(-1), UNITS.view(-1)),
        lambda z: nn.BCEWithLogitsLoss(reduction="sum")(z, UNITS),
    ],
    ids=["logits", "probabilities", "sigmoid twice", "sigmoid twice, flat", "a sum"],
)
def test_units_too(loss):
    values = RAW[:, :1]
    found = scored(loss(raw(values)))
    wanted = float(F.binary_cross_entropy_with_logits(values, UNITS))
    assert found["rows.loss"] == pytest.approx(wanted, abs=1e-5)
    assert found["rows.accuracy"] == pytest.approx(
        float(((values > 0) == (UNITS > 0.5)).double().mean())
    )


def test_always_the_same_answer_has_half_the_recall_and_a_bounded_loss():
    sure = torch.full((6, 1), 50.0)
    found = scored(F.binary_cross_entropy_with_logits(raw(sure), UNITS))
    assert (found["rows.accuracy"], found["rows.recall"]) == (0.5, 0.5)
    assert found["rows.loss"] == pytest.approx(2 * math.log(2))
    rare = torch.tensor([[1.0], *[[0.0]] * 5])
    no = scored(F.binary_cross_entropy_with_logits(raw(-sure), rare))
    assert no["rows.accuracy"] == pytest.approx(5 / 6)
    assert no["rows.recall"] == 0.5


def test_a_row_each_against_its_own_target_where_they_were_spread_out():
    answers, wanted = RAW[:, :1], RAW[:, 0] * 0.5
    with pytest.warns(UserWarning, match="target size"):
        spread = scored(F.mse_loss(raw(answers), wanted))
    assert spread == scored(F.mse_loss(raw(answers).squeeze(1), wanted))
    assert spread["rows.rows"] == 6
    with pytest.warns(UserWarning, match="target size"):
        other = scored(F.mse_loss(raw(wanted), answers))
    assert other["rows.rows"] == 6


def test_what_is_explained_is_the_same_in_any_unit():
    answers, wanted = RAW, RAW + torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) / 3
    plain = scored(F.mse_loss(raw(answers), wanted))
    error = ((answers - wanted) ** 2).sum()
    spread = ((wanted - wanted.mean(0)) ** 2).sum()
    assert plain["rows.explained"] == pytest.approx(float(1 - error / spread), abs=1e-6)
    dollars = scored(F.mse_loss(raw(1000 * answers), 1000 * wanted))
    assert dollars["rows.explained"] == pytest.approx(plain["rows.explained"], abs=1e-5)
    assert scored(F.smooth_l1_loss(raw(answers), wanted)) == plain
    assert scored(F.huber_loss(raw(answers), wanted)) == plain


def test_answers_far_off_are_bounded():
    wanted = torch.arange(6.0)[:, None]
    found = scored(F.mse_loss(raw(wanted * 1e6), wanted))
    assert found["rows.explained"] == -1.0
    same = scored(F.mse_loss(raw(RAW[:, :1]), torch.ones(6, 1)))
    assert same["rows.explained"] == 0.0


@pytest.mark.parametrize("kind", ["classes", "units", "values"])
def test_answers_that_are_no_numbers_are_the_worst(kind):
    given = {"classes": RAW.log_softmax(1), "units": RAW[:, :1].sigmoid(), "values": RAW[:, :1]}
    target = {"classes": LABELS, "units": UNITS, "values": 1.5 * RAW[:, :1]}
    nan = torch.full_like(given[kind].double(), math.nan)
    broken = scores("rows", [Answers(kind, nan, target[kind])])
    sound = scores("rows", [Answers(kind, given[kind].double(), target[kind])])
    assert all(value == value for value in broken.values())  # noqa: PLR0124
    if kind == "values":
        assert broken["rows.explained"] == -1.0 < sound["rows.explained"]
    else:
        assert broken["rows.accuracy"] == broken["rows.recall"] == 0.0
        assert broken["rows.loss"] > sound["rows.loss"]


def test_one_row_that_is_no_number_does_not_stand_for_all():
    many, labels = torch.zeros(600, 3).double(), LABELS.repeat(100)
    given = (many + 5 * F.one_hot(labels, 3)).log_softmax(1)
    sound = scores("rows", [Answers("classes", given, labels)])
    given[0] = math.nan
    found = scores("rows", [Answers("classes", given, labels)])
    assert found["rows.accuracy"] == pytest.approx(599 / 600)
    extra = found["rows.loss"] - sound["rows.loss"]
    assert extra == pytest.approx(-math.log(1e-38) / 600, rel=0.02)


def test_batches_are_put_together_and_none_give_nothing():
    one = Answers("classes", RAW.double().log_softmax(1), LABELS)
    two = scores("rows", [one, one])
    assert two["rows.rows"] == 12
    assert two["rows.loss"] == pytest.approx(truth(), abs=1e-6)
    assert scores("rows", []) == {}
    other = Answers("classes", RAW.double()[:, :2].log_softmax(1), LABELS.clamp_max(1))
    assert scores("rows", [one, other])["rows.rows"] == 6


def test_a_loss_of_no_known_kind_is_its_own_measure():
    found = scores("rows", [Answers("loss", torch.tensor([3.0]), torch.zeros(1))])
    assert found["rows.value"] == 3.0


def test_two_codes_are_no_and_yes_whatever_their_numbers():
    from torchdx.trials.alike import alike

    chances = torch.tensor([[0.9], [0.2], [0.7], [0.6]])
    kind, given, target = alike("units", chances, torch.tensor([[3.0], [1.0], [3.0], [1.0]]))
    assert kind == "units"
    assert given is chances
    assert target.tolist() == [[1.0], [0.0], [1.0], [0.0]]
    assert alike("units", chances, torch.tensor([[3.0], [1.0], [2.0], [1.0]]))[0] == "values"
