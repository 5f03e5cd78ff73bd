"""The probes that answer with a few numbers: against closed forms."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.probes.subjects import CLASSES, FEATURES, ROWS, Lambda, labels, mlp, rows, subject
from torchdx.probes.initial import initial
from torchdx.probes.one_batch import one_batch
from torchdx.probes.sharpness import sharpness, survey
from torchdx.probes.subject import Unmeasured
from torchdx.probes.zeroed import zeroed

VALUES = rows(ROWS, 2, seed=3)


def linear(outputs=2):
    torch.manual_seed(0)
    return nn.Linear(FEATURES, outputs, bias=False)


def squared(z):
    return F.mse_loss(z, VALUES)


def hessian(x):
    """Of the mean squared error of a linear layer with two outputs."""
    return torch.block_diag(*[x.T @ x / len(x)] * 2)


# -- zeroed ------------------------------------------------------------------------------------


def test_zeroed_inputs_leave_the_loss_of_the_bias():
    found = zeroed(subject(linear(), loss=squared))
    assert found.zeroed == pytest.approx(float(F.mse_loss(torch.zeros_like(VALUES), VALUES)))
    assert found.answer_change > 0.5


def test_a_model_that_does_not_look_answers_the_same():
    blind = Lambda(lambda self, x: self.last(x * 0), last=nn.Linear(FEATURES, CLASSES))
    found = zeroed(subject(blind))
    assert found.loss == found.zeroed == found.exchanged
    assert found.answer_change == 0


def test_labels_that_the_forward_is_given_are_left_as_they_are():
    def forward(self, x, labels):
        scores = self.net(x)
        return {"loss": F.cross_entropy(scores, labels), "logits": scores}

    given = subject(
        Lambda(forward, net=mlp()), rows(), labels=labels(), loss=lambda answer: answer["loss"]
    )
    assert given.loss is not None
    found = zeroed(given)
    assert found.exchanged != found.loss
    assert found.zeroed != found.loss


def test_a_call_without_tensors_has_no_inputs():
    net = Lambda(lambda self, count: self.net(rows()[:count]), net=mlp())
    assert isinstance(zeroed(subject(net, 16)), Unmeasured)


# -- initial -----------------------------------------------------------------------------------


def test_the_loss_of_zero_scores_is_chance():
    model = nn.Linear(FEATURES, CLASSES)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    found = initial(subject(model))
    assert found.head == "classes"
    assert found.loss == pytest.approx(math.log(CLASSES)) == found.chance
    shares = torch.bincount(labels()).double() / ROWS
    assert found.prior == pytest.approx(float(-(shares * shares.log()).sum()))
    assert found.spread == pytest.approx(0, abs=1e-6)


def test_the_prior_of_values_is_their_variance_and_of_units_their_entropy():
    found = initial(subject(linear(), loss=squared))
    assert (found.head, found.chance) == ("values", None)
    assert found.prior == pytest.approx(float(VALUES.var(0, unbiased=False).mean()), rel=1e-5)
    wanted = (labels() == 0).float()[:, None]
    unit = initial(subject(linear(1), loss=lambda z: F.binary_cross_entropy_with_logits(z, wanted)))
    assert unit.chance == pytest.approx(math.log(2))
    assert 0 < unit.prior < unit.chance


def test_a_loss_of_no_known_kind_has_no_chance_level():
    assert "no kind" in initial(subject(linear(), loss=lambda z: (z**2).mean())).because


# -- sharpness ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 2.0),
        ({"momentum": 0.9}, 3.8),
        ({"momentum": 0.9, "nesterov": True}, 3.8 / 2.8),
        ({"momentum": 0.5, "dampening": 0.5}, 6.0),
    ],
    ids=str,
)
def test_the_curvature_of_least_squares_is_found_with_the_limit_of_its_optimizer(options, limit):
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, **options)
    found = sharpness(subject(model, loss=squared), optimizer)
    values = torch.linalg.eigvalsh(hessian(rows()).double())
    assert found.curvature == pytest.approx(float(values[-1]), rel=0.01)
    assert found.low - 1e-6 <= float(values[-1]) <= found.high + 1e-6
    assert found.low <= found.curvature + 1e-6
    assert found.limit == pytest.approx(limit)
    assert found.ratio == pytest.approx(0.3 * found.curvature / limit)
    assert not found.scaled


@pytest.mark.parametrize("cls", [torch.optim.Adam, torch.optim.AdamW])
def test_for_adam_the_curvature_is_in_its_own_coordinates(cls):
    model = linear()
    optimizer = cls(model.parameters(), lr=0.01)
    squared(model(rows())).backward()
    optimizer.step()
    found = sharpness(subject(model, loss=squared), optimizer)
    second = optimizer.state[model.weight]["exp_avg_sq"].flatten().double() / (1 - 0.999)
    scale = (second.sqrt() + 1e-8).sqrt()
    expected = torch.linalg.eigvalsh(hessian(rows()).double() / scale[:, None] / scale[None])
    assert found.curvature == pytest.approx(float(expected[-1]), rel=0.01)
    assert found.limit == pytest.approx(38.0)
    assert found.scaled


def test_beyond_the_limit_descent_diverges_and_below_it_does_not():
    for factor, diverges in ((0.95, False), (1.05, True)):
        model = linear()
        top = float(torch.linalg.eigvalsh(hessian(rows()))[-1])
        optimizer = torch.optim.SGD(model.parameters(), lr=factor * 2 / top)
        found = sharpness(subject(model, loss=squared), optimizer)
        assert (found.ratio > 1) is diverges
        first = float(squared(model(rows())).detach())
        for _ in range(200):
            optimizer.zero_grad()
            loss = squared(model(rows()))
            loss.backward()
            optimizer.step()
        assert (float(loss.detach()) > 2 * first) is diverges


def test_a_factor_and_coupled_weight_decay_belong_to_what_is_stepped_on():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    found = sharpness(subject(model, loss=lambda z: squared(z) * 3), optimizer)
    top = float(torch.linalg.eigvalsh(hessian(rows()))[-1])
    assert found.curvature == pytest.approx(3 * top + 0.5, rel=0.01)


def test_the_dropout_mask_is_that_of_the_observed_forward():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Dropout(0.5), linear())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = subject(model, loss=squared)
    assert sharpness(given, optimizer) == sharpness(given, optimizer)


@pytest.mark.parametrize(
    "make",
    [
        torch.optim.Adam,
        torch.optim.Rprop,
        lambda _: torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0),
    ],
    ids=["no steps yet", "no known limit", "another model's"],
)
def test_an_optimizer_that_cannot_be_judged_says_so(make):
    model = linear()
    assert isinstance(sharpness(subject(model, loss=squared), make(model.parameters())), Unmeasured)


def test_attention_is_differentiated_twice():
    net = nn.TransformerEncoderLayer(FEATURES, 2, 8, batch_first=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    given = subject(net, rows(4, 5, FEATURES), loss=lambda z: F.mse_loss(z, z.detach() + 1))
    assert not isinstance(sharpness(given, optimizer), Unmeasured)


def test_when_time_is_out_the_bounds_say_how_far_it_came():
    model = mlp(nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = subject(model)
    short, whole = sharpness(given, optimizer, limit_s=0.0), sharpness(given, optimizer)
    assert short.products == 5 < whole.products
    assert short.high - short.low > whole.high - whole.low
    assert short.curvature <= whole.curvature


def test_the_density_of_least_squares_has_its_eigenvalues():
    model = linear()
    found = survey(subject(model, loss=squared), torch.optim.SGD(model.parameters(), lr=0.1))
    values = torch.linalg.eigvalsh(rows().T @ rows() / len(rows()))
    density = found.density
    assert density.nodes == pytest.approx(values.tolist(), rel=1e-3)
    assert sum(density.weights) == pytest.approx(1)
    assert density.size == 2 * len(values)
    assert density.apart == (5, 0)  # the innermost has no other to be apart from; none is below 0
    assert density.negative == density.near_zero == 0


def test_along_the_sharpest_direction_a_quadratic_is_its_parabola():
    model = linear()
    given = subject(model, loss=lambda z: squared(z) * 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    found = survey(given, optimizer)
    line = found.slice.lines[1]
    assert line.name == "sharpest"
    top = float(torch.linalg.eigvalsh(hessian(rows()))[-1])
    assert line.curvature / line.length**2 == pytest.approx(top, rel=1e-3)  # no factor, no decay
    expected = [
        found.slice.value + a * line.slope + a * a / 2 * line.curvature for a in line.places
    ]
    assert line.losses == pytest.approx(expected, rel=1e-4)
    assert line.slope <= 0


def test_where_the_loss_is_no_number_the_slice_says_so():
    def forward(self, x):
        answer = self.inner(x)
        return answer + 0 * torch.log(1 - answer.abs().max())

    model = Lambda(forward, inner=linear())
    found = survey(subject(model, loss=squared), torch.optim.SGD(model.parameters(), lr=0.1))
    losses = found.slice.lines[1].losses
    assert math.isnan(losses[0])
    assert math.isfinite(losses[6])


def test_a_bias_before_a_batch_norm_makes_no_rounding_the_largest_curvature():
    torch.manual_seed(0)
    inner = nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)
    model = nn.Sequential(nn.Linear(FEATURES, 8), *inner, nn.Linear(8, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(rows()), labels()).backward()
        optimizer.step()
    found = sharpness(subject(model), optimizer)
    assert not isinstance(found, Unmeasured)
    assert 0 < found.ratio < 1


def test_without_time_for_the_slice_the_curvature_is_there():
    model = mlp(nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = survey(subject(model), optimizer, limit_s=0.0)
    assert found.slice is None
    assert found.sharpness.products == 5


def test_the_copys_step_calls_no_hook_of_all_optimizers():
    model, seen = linear(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.register_step_post_hook(lambda *_: seen.append("own"))
    hook = register_optimizer_step_post_hook(lambda *_: seen.append("all"))
    try:
        found = survey(subject(model, loss=squared), optimizer)
    finally:
        hook.remove()
    assert found.slice.lines[0].name == "update"
    assert seen == []


def test_an_optimizer_that_cannot_be_copied_costs_the_slice_alone():
    class Tied(torch.optim.SGD):
        def __deepcopy__(self, memo):
            raise TypeError("tied to a thread")

    Tied.__name__ = "SGD"
    model = linear()
    found = survey(subject(model, loss=squared), Tied(model.parameters(), lr=0.1))
    assert "tied to a thread" in found.slice.because
    assert found.sharpness.curvature > 0


# -- one batch ---------------------------------------------------------------------------------


def test_a_net_that_can_fits_one_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3))
    found = one_batch(subject(model))
    assert found.fitted
    assert found.best < 0.05 * found.reference
    assert found.best_score == 1
    assert found.gradient > 0


def through_one_unit():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 1), nn.Sigmoid(), nn.Linear(1, 8))


def groups(count):
    """Rows around eight places, and which."""
    places = 4 * torch.randn(8, 20, generator=torch.Generator().manual_seed(1))
    which = torch.arange(count) % 8
    return places[which] + rows(count, 20), which


def test_a_net_with_one_unit_cannot_and_a_regression_on_the_rows_can():
    x, which = groups(64)
    found = one_batch(subject(through_one_unit(), x, loss=lambda z: F.cross_entropy(z, which)))
    assert not found.fitted
    assert found.anew
    assert found.best_score < 0.9
    assert found.control > 0.95


def test_what_cannot_be_told_from_the_inputs_is_not_told_by_the_regression():
    wanted = torch.randint(0, 4, (64,), generator=torch.Generator().manual_seed(2))
    model = nn.Linear(20, 4)
    found = one_batch(subject(model, rows(64, 20), loss=lambda z: F.cross_entropy(z, wanted)))
    assert found.control < 0.45
    nothing = one_batch(
        subject(model, rows(64, 20), loss=lambda z: F.cross_entropy(z, wanted)), only_behind=True
    )
    assert isinstance(nothing, Unmeasured) or nothing.control > nothing.score


def test_values_and_soft_targets_are_fitted_too():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(FEATURES, 64), nn.Tanh(), nn.Linear(64, 2))
    found = one_batch(subject(net, loss=squared))
    assert found.fitted
    assert found.best_score > 0.95
    shares = VALUES.softmax(1)
    soft = one_batch(subject(net, loss=lambda z: F.cross_entropy(z, shares)))
    assert soft.fitted


def test_time_that_runs_out_is_told():
    x, which = groups(64)
    given = subject(through_one_unit(), x, loss=lambda z: F.cross_entropy(z, which))
    assert "longer than its limit" in one_batch(given, limit_s=0.0).because


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(0.3 + 1e-8 * rows(40, 1), id="equal but for rounding"),
        pytest.param(rows(40, 1).flatten(), id="every one against every row"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_targets_that_differ_by_rounding_alone_tell_nothing(wanted):
    given = subject(nn.Linear(4, 1), rows(40, 4), loss=lambda z: F.mse_loss(z, wanted))
    assert "the same target" in one_batch(given).because


def test_a_batch_of_one_label_tells_nothing():
    given = subject(mlp(), loss=lambda z: F.cross_entropy(z, torch.zeros(ROWS, dtype=torch.long)))
    assert "the same target" in one_batch(given).because
