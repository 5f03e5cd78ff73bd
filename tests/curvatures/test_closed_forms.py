"""Hessians that are known on paper."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchdx as dx
from tests.curvatures.cases import dense, function, quadratic

TIGHT = {"rtol": 0.0, "atol": 1e-12}


@pytest.fixture
def data():
    g = torch.Generator().manual_seed(3)
    x = torch.randn(50, 7, dtype=torch.float64, generator=g)
    return x, torch.randn(50, dtype=torch.float64, generator=g)


def test_the_hessian_of_a_quadratic_is_its_matrix():
    a = torch.randn(9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = a + a.T
    c = quadratic(a, torch.ones(9))
    torch.testing.assert_close(dense(c), a, **TIGHT)
    ends = c.extremes()
    values = torch.linalg.eigvalsh(a)
    assert ends.highest.low <= float(values[-1]) <= ends.highest.high
    assert ends.lowest.low <= float(values[0]) <= ends.lowest.high


def test_the_hessian_of_linear_regression_is_that_of_its_inputs(data):
    x, y = data
    model = nn.Linear(7, 1, bias=False).double()
    c = dx.curvature(model, nn.MSELoss(), (x, y[:, None]))
    torch.testing.assert_close(dense(c), 2 * x.T @ x / 50, **TIGHT)


def test_the_hessian_of_logistic_regression_weighs_rows_by_their_variance(data):
    x, y = data
    t = (y > 0).double()
    c, w = function(lambda w: F.binary_cross_entropy_with_logits(x @ w, t), [0.3] * 7)
    p = torch.sigmoid(x @ w.detach())
    expected = x.T @ (x * (p * (1 - p))[:, None]) / 50
    torch.testing.assert_close(dense(c), expected, **TIGHT)


def test_the_hessian_of_an_l2_svm_counts_the_active_margins(data):
    x, y = data
    s = torch.sign(y)

    def svm(w):
        return 0.05 * w @ w + F.relu(1 - s * (x @ w)).square().mean()

    c, w = function(svm, [0.4] * 7)
    active = x[(1 - s * (x @ w.detach())) > 0]
    expected = 0.1 * torch.eye(7, dtype=torch.float64) + 2 * active.T @ active / 50
    torch.testing.assert_close(dense(c), expected, **TIGHT)
    assert c.convexity().verdict == "convex here"


def test_rosenbrock_has_its_minimum_and_its_condition():
    c, _ = function(lambda z: (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2, [1.0, 1.0])
    torch.testing.assert_close(
        dense(c), torch.tensor([[802.0, -400.0], [-400.0, 200.0]], dtype=torch.float64), **TIGHT
    )
    ends = c.extremes()
    assert ends.highest.middle == pytest.approx(1001.60064, abs=1e-5)
    assert ends.lowest.middle == pytest.approx(0.39936, abs=1e-5)
    assert ends.highest.middle / ends.lowest.middle == pytest.approx(2508.01, abs=0.01)
    assert c.critical().verdict == "minimum"


def linear_net_at_zero(depth):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(200, 6, dtype=torch.float64, generator=g)
    y = x @ torch.randn(6, 4, dtype=torch.float64, generator=g)
    widths = [6, *[5] * (depth - 1), 4]
    layers = [nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths)]
    model = nn.Sequential(*layers).double()
    for p in model.parameters():
        nn.init.zeros_(p)

    def loss(model, batch):
        return 0.5 * (model(batch[0]) - batch[1]).square().sum() / 200

    return dx.curvature(model, loss, (x, y)), torch.linalg.svdvals(y.T @ x / 200)


def test_a_two_layer_linear_net_at_zero_is_a_strict_saddle_with_known_eigenvalues():
    c, sigma = linear_net_at_zero(2)
    values = torch.linalg.eigvalsh(dense(c))
    expected = torch.cat([sigma.repeat(5), -sigma.repeat(5), torch.zeros(50 - 40).double()])
    torch.testing.assert_close(values, expected.sort().values, **TIGHT)
    verdict = c.critical()
    assert verdict.verdict == "strict saddle"
    assert verdict.gradient_norm == 0
    ends = c.extremes()
    assert ends.highest.middle == pytest.approx(float(sigma[0]), rel=1e-9)
    assert ends.lowest.middle == pytest.approx(-float(sigma[0]), rel=1e-9)
    assert c.escape().escaped


def test_multiple_eigenvalues_are_met_again_once_the_first_start_has_no_more_to_say():
    c, sigma = linear_net_at_zero(2)
    found = c.top(5, products=50)
    assert found.values == pytest.approx([float(sigma[0])] * 5, rel=1e-6)


def test_a_three_layer_linear_net_at_zero_is_degenerate():
    c, _ = linear_net_at_zero(3)
    assert float(dense(c).abs().max()) == 0
    assert c.critical().verdict == "degenerate"
    ends = c.extremes()
    assert (ends.highest.high, ends.lowest.low) == (0, 0)


def test_a_monkey_saddle_is_degenerate():
    c, _ = function(lambda z: z[0] ** 3 - 3 * z[0] * z[1] ** 2, [0.0, 0.0])
    assert c.critical().verdict == "degenerate"


def test_a_saddle_is_seen_from_its_ridge_where_the_gradient_does_not_point_down():
    c, w = function(lambda z: z[0] ** 2 - z[1] ** 2 + 0.5 * z[2] ** 2, [0.0, 0.0, 0.0])
    verdict = c.critical()
    assert verdict.verdict == "strict saddle"
    assert verdict.direction.abs().tolist() == pytest.approx([0, 1, 0], abs=1e-9)
    way = c.escape()
    assert way.escaped
    with torch.no_grad():
        w += way.shift
    w = w.detach()
    assert float(w[0] ** 2 - w[1] ** 2 + 0.5 * w[2] ** 2) == pytest.approx(way.after)


@pytest.mark.parametrize("second", [-1.0, -0.99])
def test_a_pair_of_opposite_eigenvalues_is_told_apart(second):
    c = quadratic(torch.diag(torch.tensor([1.0, second, 0.1])), [1.0, 1.0, 1.0])
    ends = c.extremes()
    assert ends.highest.middle == pytest.approx(1, rel=1e-5)
    assert ends.lowest.middle == pytest.approx(second, rel=1e-5)
    found = dx.spectrum(lambda v: torch.tensor([1.0, second, 0.1]) * v, 3).top(3)
    assert found.values == pytest.approx([1, 0.1, second], rel=1e-5)


@pytest.mark.parametrize(
    ("lr", "verdict"), [(0.179, "stable"), (0.199, "near the edge"), (0.201, "beyond the limit")]
)
def test_gradient_descent_on_a_curvature_of_ten_is_stable_below_a_fifth(lr, verdict):
    w = nn.Parameter(torch.ones(3, dtype=torch.float64))
    values = torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64)
    c = dx.curvature(
        lambda: 0.5 * (values * w * w).sum(), [w], optimizer=torch.optim.SGD([w], lr=lr)
    )
    found = c.stability()
    assert found.verdict == verdict
    assert found.lr_limit.middle == pytest.approx(0.2, rel=1e-6)
    assert found.ratio.middle == pytest.approx(lr / 0.2, rel=1e-6)


def test_a_loss_that_is_linear_in_the_weights_has_no_curvature_and_descends():
    c, _ = function(lambda z: z.sum(), [1.0, 2.0])
    assert c.extremes().highest.high == 0
    assert c.critical().verdict == "descending"
