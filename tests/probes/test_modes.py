import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.probes.subjects import CLASSES, FEATURES, ROWS, Lambda, mlp, rows, subject
from torchdx.probes.modes import modes


def test_a_model_without_modes_has_one_loss():
    found = modes(subject(mlp()))
    assert found.train_loss == found.batch_loss == found.eval_loss
    assert found.eval_difference == found.train_difference == 0
    assert found.drawn == found.norms == ()
    assert found.rows == ROWS


def test_dropout_parts_the_loss_of_training_from_that_of_evaluation():
    model = mlp(nn.Dropout(0.8))
    found = modes(subject(model))
    model.eval()
    expected = F.cross_entropy(model(rows()), torch.arange(ROWS) % CLASSES)
    assert found.eval_loss == found.batch_loss == pytest.approx(float(expected.detach()))
    assert found.train_loss != found.batch_loss
    assert found.train_difference > 0.1
    assert found.eval_difference == 0
    assert found.drawn == ()


def test_batch_norm_parts_batch_statistics_from_running_ones():
    torch.manual_seed(0)
    model = mlp(nn.BatchNorm1d(8))
    model[1].running_var.fill_(100.0)
    given = subject(model)
    found = modes(given)
    assert found.train_loss == found.batch_loss == pytest.approx(given.value)
    assert found.eval_loss != pytest.approx(given.value, rel=0.01)
    (norm,) = found.norms
    assert (norm.path, norm.cls, norm.momentum, norm.seen) == ("1", "BatchNorm1d", 0.1, 1)
    assert norm.plain.per_channel == ROWS
    assert norm.plain.off_variance > 50


def test_dropout_and_batch_norm_are_told_apart():
    torch.manual_seed(0)
    model = mlp(nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
    found = modes(subject(model))
    model.eval()
    model[1].train()
    wanted = torch.arange(ROWS) % CLASSES
    with torch.no_grad():
        assert found.batch_loss == pytest.approx(float(F.cross_entropy(model(rows()), wanted)))
    assert len({found.train_loss, found.batch_loss, found.eval_loss}) == 3


def test_a_frozen_batch_norm_is_no_norm_in_training():
    model = mlp(nn.BatchNorm1d(8))
    model[1].eval()
    assert modes(subject(model)).norms == ()


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_the_variance_that_dropout_adds_before_a_norm_is_measured(p):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(p), nn.BatchNorm1d(400), nn.Linear(400, CLASSES))
    (norm,) = modes(subject(model, rows(256, 400))).norms
    assert norm.plain.variance / norm.train.variance == pytest.approx(1 - p, abs=0.03)
    assert norm.train.after.path == "0"
    assert norm.train.after.p == p
    assert norm.train.direct
    assert norm.plain.after is None


def test_weights_between_dropout_and_norm_are_told():
    model = mlp(nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8))
    (norm,) = modes(subject(model)).norms
    assert norm.train.after.path == "1"
    assert not norm.train.direct
    model = mlp(nn.Dropout(0.5), nn.BatchNorm1d(8), nn.ReLU(), nn.BatchNorm1d(8))
    assert [n.train.after is None for n in modes(subject(model)).norms] == [False, True]


def dropped(self, x):
    return self.last(F.dropout(self.net(x), 0.5))


def dropped_by_a_new_layer(self, x):
    return self.last(nn.Dropout(0.3)(self.net(x)))


def attended(self, x):
    x = x[:, None]
    x = x + F.scaled_dot_product_attention(x, x, x, dropout_p=0.4)
    return self.last(self.net(x[:, 0]))


@pytest.mark.parametrize(
    ("forward", "function", "p"),
    [
        (dropped, "dropout", 0.5),
        (dropped_by_a_new_layer, "dropout", 0.3),
        (attended, "scaled_dot_product_attention", 0.4),
    ],
)
def test_dropout_that_is_on_in_evaluation_is_seen_with_its_line(forward, function, p):
    torch.manual_seed(1)
    model = Lambda(forward, net=mlp(), last=nn.Linear(CLASSES, CLASSES))
    found = modes(subject(model, loss=None))
    assert found.eval_difference > 0
    (drawn,) = found.drawn
    assert (drawn.function, drawn.dropout, drawn.p) == (function, True, p)
    assert drawn.place.file == __file__
    first = forward.__code__.co_firstlineno
    assert first < drawn.place.line <= first + 3


def test_noise_in_evaluation_is_no_dropout():
    model = Lambda(lambda self, x: self.net(x) + torch.randn_like(x[:, :CLASSES]), net=mlp())
    (drawn,) = modes(subject(model)).drawn
    assert (drawn.function, drawn.dropout) == ("randn_like", False)


def test_layers_that_follow_their_mode_draw_nothing_in_evaluation():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(FEATURES, 2, dropout=0.5, batch_first=True)
            self.read = nn.LSTM(FEATURES, 8, 2, dropout=0.5, batch_first=True)
            self.last = nn.Linear(8, CLASSES)

        def forward(self, x):
            x = F.dropout(self.attend(x, x, x)[0], 0.5, self.training)
            return self.last(F.dropout(self.read(x)[0][:, -1], training=self.training))

    found = modes(subject(Attending(), rows(ROWS, 4, FEATURES)))
    assert found.drawn == ()
    assert found.train_difference > 0.1


def test_a_factor_on_the_loss_is_taken_off():
    torch.manual_seed(0)
    model = nn.Linear(FEATURES, CLASSES)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    def scaled(z):
        return F.cross_entropy(z, torch.arange(ROWS) % CLASSES) * 1024

    assert modes(subject(model, loss=scaled)).eval_loss == pytest.approx(math.log(CLASSES))
