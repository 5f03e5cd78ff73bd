from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.probes.subjects import CLASSES, FEATURES, ROWS, labels, mlp, rows
from torchdx.probes.replay import factor_of
from torchdx.probes.subject import rebuild_loss

LABELS, VALUES = labels(), rows(ROWS, CLASSES, seed=1)
SHARES = VALUES.softmax(1)


def plain(z):
    return F.cross_entropy(z, LABELS)


def divided(z):
    return F.cross_entropy(z, LABELS) / 4


def weighted_and_ignoring(z):
    return F.cross_entropy(z, LABELS, weight=torch.tensor([1.0, 2.0, 0.5]), ignore_index=1)


def smoothed(z):
    return F.cross_entropy(z, LABELS, label_smoothing=0.1)


def of_sequences(z):
    return F.cross_entropy(z.view(4, 4, CLASSES).transpose(1, 2), LABELS.view(4, 4))


def soft(z):
    return F.cross_entropy(z, SHARES)


def gathered(z):
    return -F.log_softmax(z, -1).gather(1, LABELS[:, None]).mean()


def squared(z):
    return F.mse_loss(VALUES, z, reduction="sum") / ROWS


def squared_by_hand(z):
    return ((z - VALUES) ** 2).mean()


def squared_the_other_way(z):
    return (VALUES - z).pow(2).sum(1).mean()


def absolute(z):
    return F.l1_loss(z, VALUES)


def huber(z):
    return F.huber_loss(z, VALUES, delta=0.5)


def smooth(z):
    return F.smooth_l1_loss(z, VALUES, beta=0.3)


def binary(z):
    return F.binary_cross_entropy(z.sigmoid()[:, 0], SHARES[:, 0])


def binary_from_scores(z):
    wanted = (VALUES[:, 0] > 0).float()
    return F.binary_cross_entropy_with_logits(z[:, :1].squeeze(1), wanted, pos_weight=torch.ones(1))


def of_two_terms(z):
    return F.mse_loss(z[:, 0], VALUES[:, 0]) + 0.1 * F.cross_entropy(z, LABELS)


LOSSES = [
    plain, divided, weighted_and_ignoring, smoothed, of_sequences, soft, gathered, squared,
    squared_by_hand, squared_the_other_way, absolute, huber, smooth, binary, binary_from_scores,
    of_two_terms,
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rebuilt_loss_gives_the_loss_of_another_answer_too(loss):
    model = mlp()
    answer = model(rows())
    rebuilt = rebuild_loss(answer, loss(answer))
    other = model(rows(seed=5))
    torch.testing.assert_close(rebuilt(other), loss(other))
    ours, theirs = (
        torch.autograd.grad(f(other), other, retain_graph=True) for f in (rebuilt, loss)
    )
    torch.testing.assert_close(ours, theirs)


def test_a_loss_that_the_model_itself_answers_with_is_found_in_its_answer():
    answer = {"logits": mlp()(rows())}
    answer["loss"] = F.cross_entropy(answer["logits"], LABELS)
    rebuilt = rebuild_loss(answer, answer["loss"] / 2)
    assert float(rebuilt({"logits": torch.zeros(1), "loss": torch.tensor(3.0)})) == 1.5


def test_a_loss_of_two_fields_of_a_dataclass_is_rebuilt():
    @dataclass
    class Answer:
        scores: torch.Tensor
        value: tuple[torch.Tensor, str]

    hidden = mlp()(rows())
    answer = Answer(hidden * 2, (hidden.sum(1), "words"))
    rebuilt = rebuild_loss(answer, plain(answer.scores) + F.mse_loss(answer.value[0], VALUES[:, 0]))
    other = Answer(torch.zeros(ROWS, CLASSES), (VALUES[:, 0], ""))
    assert float(rebuilt(other)) == pytest.approx(float(torch.tensor(3.0).log()))


def of_the_weights_too(z, model):
    return F.mse_loss(z, VALUES) + model[0].weight.pow(2).sum()


def of_another_call_too(z, model):
    return F.mse_loss(z, model(rows(seed=9)))


def of_an_operation_unknown_here(z, model):
    del model
    return F.multi_margin_loss(z, LABELS)


@pytest.mark.parametrize(
    "loss", [of_the_weights_too, of_another_call_too, of_an_operation_unknown_here]
)
def test_a_loss_of_more_than_this_answer_is_not_rebuilt(loss):
    model = mlp()
    answer = model(rows())
    assert rebuild_loss(answer, loss(answer, model)) is None


def test_a_rebuilt_value_that_is_not_the_observed_one_is_not_believed():
    answer = mlp()(rows())
    mask = labels() == 0
    assert rebuild_loss(answer, answer.masked_fill(mask[:, None], 7.0).mean()) is None
    assert rebuild_loss(answer, answer.masked_fill(mask[:, None], 0.0).mean()) is not None


def test_a_target_that_was_changed_in_place_is_not_used():
    answer, wanted = mlp()(rows()), VALUES.clone()
    root = F.mse_loss(answer, wanted)
    wanted.zero_()
    assert rebuild_loss(answer, root) is None


def test_a_root_without_history_and_one_of_many_numbers_are_left():
    answer = mlp()(rows())
    assert rebuild_loss(answer, torch.tensor(1.0)) is None
    assert rebuild_loss(answer, answer * 1) is None


@pytest.mark.parametrize(
    ("make", "factor"),
    [
        (lambda loss: loss, 1.0),
        (lambda loss: loss / 4, 0.25),
        (lambda loss: loss * 1024.0 / torch.tensor(2.0), 512.0),
        (lambda loss: loss + loss, 1.0),
    ],
    ids=["as it is", "a fourth", "scaled", "doubled by a sum"],
)
def test_the_factor_on_a_loss_is_read_from_its_graph(make, factor):
    loss = F.cross_entropy(nn.Linear(FEATURES, CLASSES)(rows()), LABELS)
    assert factor_of(make(loss)) == factor
