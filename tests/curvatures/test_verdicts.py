"""What is said about a point, a step and a step size."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchdx as dx
from tests.curvatures.cases import exact, function, net, quadratic
from torchdx.curvatures.simulate import update_of
from torchdx.curvatures.stability import trend_of


def ridge():
    """Softmax regression with ridge at its minimum: every eigenvalue is 0.01 or more."""
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(300, 40, generator=g), torch.randint(0, 10, (300,), generator=g)
    model = nn.Linear(40, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    def loss(model, batch):
        decay = sum(p.square().sum() for p in model.parameters())
        return F.cross_entropy(model(batch[0]), batch[1]) + 0.005 * decay

    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(model, (x, y))
        value.backward()
        return value

    optimizer.step(closure)
    return model, loss, (x, y)


def test_the_minimum_of_ridge_regression_is_certified_within_thirty_products():
    model, loss, batch = ridge()
    c = dx.curvature(model, loss, batch)
    found = c.critical(full_batch=True)
    assert found.verdict == "minimum"
    assert 0 < found.lowest.low <= 0.0101
    assert found.spent.products <= 30
    assert c.convexity().verdict == "convex here"


def test_too_few_products_leave_it_undecided_and_say_how_many_would_do():
    model, loss, batch = ridge()
    c = dx.curvature(model, loss, batch)
    needed = c.critical(full_batch=True).spent.products
    short = dx.curvature(model, loss, batch).critical(products=needed // 2, full_batch=True)
    assert short.verdict == "undecided"
    assert short.products_more == pytest.approx(needed - needed // 2, abs=needed // 2)
    assert f"about {short.products_more} products more" in str(short)


def test_negative_curvature_is_proven_within_six_products():
    values = torch.cat([torch.linspace(0, 0.1, 500), torch.tensor([2.0, 1.0, -0.5])])
    c = quadratic(torch.diag(values), torch.zeros(503))
    c._local.spectrum.grow(6)
    found = c.critical(products=6)
    assert found.verdict == "strict saddle"


def test_along_the_top_direction_a_step_promises_all_that_there_is_to_gain():
    c = quadratic(torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)), [1.0, 0.0])
    found = c.critical()
    assert found.verdict == "descending"
    assert found.promise == pytest.approx(2.0)  # the whole loss


def test_an_eigenvalue_of_zero_within_rounding_is_degenerate_and_no_saddle():
    c = quadratic(torch.diag(torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)), [0.0, 0.0, 1.0])
    found = c.critical()
    assert found.verdict == "degenerate"
    assert found.direction is None


def test_far_from_the_minimum_it_is_descending():
    model, batch = net()
    found = dx.curvature(model, nn.CrossEntropyLoss(), batch).critical(full_batch=True)
    assert found.verdict == "descending"
    assert found.promise > 0
    assert found.noise_norm is None
    assert "promises" in found.because


def test_a_gradient_within_its_sampling_noise_counts_as_zero():
    torch.manual_seed(0)
    x, y = torch.randn(400, 5), torch.randn(400, 1)
    model = nn.Linear(5, 1)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    c = dx.curvature(model, nn.MSELoss(), (x, y))
    found = c.critical()
    parts = [torch.cat([t.reshape(-1) for t in g]) for g in _gradients(model, x, y)]
    truth = torch.stack(parts).var(0).sum().sqrt() / math.sqrt(8)
    assert found.noise_norm == pytest.approx(float(truth), rel=1e-3)
    assert found.verdict != "descending"
    assert "below its sampling noise" in found.because
    assert c.critical(full_batch=True).verdict == "descending"


def _gradients(model, x, y):
    for a, b in zip(x.chunk(8), y.chunk(8), strict=True):
        yield torch.autograd.grad(F.mse_loss(model(a), b), list(model.parameters()))


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "decayed": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.5, max_iter=3),
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_step_that_is_judged_is_the_one_that_the_optimizer_takes(name):
    model, (x, y) = net()
    optimizer = OPTIMIZERS[name](model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    c = dx.curvature(model, nn.CrossEntropyLoss(), (x, y), optimizer)
    found = c.step()
    before = torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()])
    first = float(F.cross_entropy(model(x), y).detach())
    optimizer.step(closure)
    after = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    assert found.length == pytest.approx(float((after - before).norm()), rel=1e-9)
    second = float(F.cross_entropy(model(x), y).detach())
    assert found.measured == pytest.approx(second - first, abs=1e-12)
    assert found.predicted == pytest.approx(found.measured, rel=0.2, abs=1e-4)


def test_a_clipped_step_is_as_short_as_the_program_makes_it():
    model, batch = net()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, optimizer)
    assert c.step(max_norm=1e-3).length == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(
    ("lr", "verdict"), [(0.0001, "timid"), (0.1, "sound"), (0.19, "sound"), (0.25, "too long")]
)
def test_a_step_is_too_long_when_curvature_costs_more_than_the_slope_gains(lr, verdict):
    w = nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))
    values = torch.tensor([10.0, 1.0], dtype=torch.float64)
    c = dx.curvature(
        lambda: 0.5 * (values * w * w).sum(), [w], optimizer=torch.optim.SGD([w], lr=lr)
    )
    found = c.step()
    assert found.verdict == verdict
    assert found.predicted == pytest.approx(found.measured)
    assert found.curvature == pytest.approx(10)
    assert found.secant == pytest.approx(10)
    assert found.best_multiple == pytest.approx(0.1 / lr)


def test_momentum_that_climbs_is_called_uphill():
    w = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=0.01, momentum=0.9)
    for _ in range(1):
        w.grad = torch.tensor([-20.0], dtype=torch.float64)
        optimizer.step()
    c = dx.curvature(lambda: (w * w).sum(), [w], optimizer=optimizer)  # noqa: PLW0108
    assert c.step().verdict == "uphill"


def test_on_a_kink_the_secant_differs_from_the_curvature_at_the_weights():
    w = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
    c = dx.curvature(
        lambda: F.relu(w).sum() + 3 * F.relu(-w).sum(), [w], optimizer=torch.optim.SGD([w], lr=1.0)
    )
    found = c.step()
    assert found.curvature == 0
    assert found.secant == pytest.approx(2 * (1.5 - 0.5 + 1))
    assert found.verdict == "beyond second order"
    assert c.check().secant == pytest.approx(found.secant)


def diverges(make, factor, curvature=10.0):
    """Whether an optimizer leaves the minimum of a parabola at a multiple of its own limit."""
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = make([w], 1.0)

    def ask():
        return dx.curvature(lambda: 0.5 * curvature * (w * w).sum(), [w], optimizer=optimizer)

    optimizer.param_groups[0]["lr"] = factor * ask().stability().lr_limit.middle
    for _ in range(4000):
        w.grad = curvature * w.detach()
        optimizer.step()
        if not abs(w.item()) < 1e6:
            return True
    return abs(w.item()) > 10


PLAIN = {
    "gradient descent": lambda p, lr: torch.optim.SGD(p, lr),  # noqa: PLW0108
    "heavy ball": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
    "dampened": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, dampening=0.5),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True),
    "decayed": lambda p, lr: torch.optim.SGD(p, lr, weight_decay=3.0),
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_an_optimizer_diverges_just_above_its_limit_and_not_just_below(name):
    assert diverges(PLAIN[name], 1.01)
    assert not diverges(PLAIN[name], 0.99)


@pytest.mark.parametrize("cls", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_diverges_just_above_its_limit_in_its_own_coordinates(cls):
    def run(factor):
        values = torch.tensor([10.0, 0.1], dtype=torch.float64)
        w = nn.Parameter(torch.full((2,), 1e-9, dtype=torch.float64))
        optimizer = cls([w], lr=1.0, betas=(0.9, 1 - 1e-12), weight_decay=0.0)
        optimizer.state[w] = {
            "step": torch.tensor(1e6),
            "exp_avg": torch.zeros_like(w),
            "exp_avg_sq": torch.tensor([4.0, 0.01], dtype=torch.float64) * 1e-6,
        }
        c = dx.curvature(lambda: 0.5 * (values * w * w).sum(), [w], optimizer=optimizer)
        found = c.stability()
        assert found.limit == pytest.approx(38)
        assert found.scaled
        optimizer.param_groups[0]["lr"] = factor * found.lr_limit.middle
        largest = 0.0
        for _ in range(100):  # later its second moment grows, and holds it back
            w.grad = values * w.detach()
            optimizer.step()
            largest = max(largest, float(w.detach().abs().max()))
        return largest

    assert run(0.99) < 1e-8
    assert run(1.01) > 1e-3


STILL = 1 - 1e-12  # of an average that stays as it is
SCALED = {
    "RMSprop": lambda p: torch.optim.RMSprop(p, alpha=STILL),
    "centred RMSprop": lambda p: torch.optim.RMSprop(p, alpha=STILL, centered=True),
    "RMSprop with momentum": lambda p: torch.optim.RMSprop(p, alpha=STILL, momentum=0.3),
    "Adagrad": lambda p: torch.optim.Adagrad(p),  # noqa: PLW0108
}


@pytest.mark.parametrize("name", list(SCALED))
def test_an_optimizer_with_scales_diverges_just_above_its_limit_in_them(name):
    def grown(factor):
        values = torch.tensor([10.0, 0.1], dtype=torch.float64)
        w = nn.Parameter(torch.full((2,), 1e-9, dtype=torch.float64))
        optimizer = SCALED[name]([w])
        for key, squares in (("square_avg", [4.0, 0.01]), ("sum", [4.0, 0.01])):
            optimizer.state[w][key] = torch.tensor(squares, dtype=torch.float64)
        optimizer.state[w]["grad_avg"] = torch.tensor([1.5, 0.05], dtype=torch.float64)
        optimizer.state[w]["momentum_buffer"] = torch.zeros_like(w)
        optimizer.state[w]["step"] = torch.tensor(7.0)
        if "centred" not in name:
            del optimizer.state[w]["grad_avg"]
        c = dx.curvature(lambda: 0.5 * (values * w * w).sum(), [w], optimizer=optimizer)
        optimizer.param_groups[0]["lr"] = factor * c.stability().lr_limit.middle
        for _ in range(800):
            w.grad = values * w.detach()
            optimizer.step()
        return float(w.detach().abs().max()) / 1e-9

    assert grown(0.99) < 1
    assert grown(1.01) > 3


def test_a_young_adam_is_measured_with_its_averages_corrected():
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.Adam([w], lr=0.1, betas=(0.9, 0.99), eps=0.0)
    optimizer.state[w] = {
        "step": torch.tensor(2.0),
        "exp_avg": torch.zeros_like(w),
        "exp_avg_sq": torch.full_like(w, 0.0199 * 4),  # 1 - 0.99^2 times a square of 4
    }
    found = dx.curvature(lambda: 5 * (w * w).sum(), [w], optimizer=optimizer).stability()
    assert found.sharpness.middle == pytest.approx(10 / (2 * 0.19), rel=1e-6)  # 1 - 0.9^2


def test_coupled_decay_counts_in_the_scales_of_the_step():
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.Adagrad([w], lr=0.1, weight_decay=6.0, eps=0.0)
    optimizer.state[w] = {"step": torch.tensor(3.0), "sum": torch.full_like(w, 16.0)}
    found = dx.curvature(lambda: 5 * (w * w).sum(), [w], optimizer=optimizer).stability()
    assert found.sharpness.middle == pytest.approx((10 + 6) / 4)


def test_groups_with_their_own_step_sizes_are_weighed():
    a, b = (nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.4}])
    c = dx.curvature(lambda: (a * a + b * b).sum(), [a, b], optimizer=optimizer)  # noqa: PLW0108
    found = c.stability()
    assert found.ratio.middle == pytest.approx(0.4 * 2 / 2, rel=1e-5)
    assert found.scaled


@pytest.mark.parametrize(
    ("lr", "verdict"), [(1.9, "edge of stability"), (2.1, "unstable"), (2.1, "edge of stability")]
)
def test_far_above_the_limit_nothing_hovers(lr, verdict):
    """The curvature is 2, so that the limit is a rate of 1."""
    flat = verdict == "unstable" or lr < 2
    losses = [1.0 + 0.1 * (-1) ** i - (0.0 if flat else 0.02 * i) for i in range(30)]
    w = nn.Parameter(torch.ones(2))
    c = dx.curvature(lambda: (w * w).sum(), [w], optimizer=torch.optim.SGD([w], lr=lr))  # noqa: PLW0108
    assert c.stability(losses).verdict == verdict


@pytest.mark.parametrize(
    ("losses", "trend", "verdict"),
    [
        ([1.0 - 0.01 * i + 0.05 * (-1) ** i for i in range(30)], "falling", "edge of stability"),
        ([1.0 + 0.2 * i for i in range(30)], "rising", "unstable"),
        ([1.0 + 0.1 * (-1) ** i for i in range(30)], "flat", "edge of stability"),
        ([1.0] * 20 + [math.nan], "rising", "unstable"),
        ([], "unknown", "beyond the limit"),
    ],
)
def test_beyond_the_limit_the_losses_tell_the_edge_of_stability_from_a_fault(
    losses, trend, verdict
):
    w = nn.Parameter(torch.ones(2))
    c = dx.curvature(lambda: (w * w).sum(), [w], optimizer=torch.optim.SGD([w], lr=1.05))  # noqa: PLW0108
    assert trend_of(losses) == trend
    found = c.stability(losses)
    assert (found.trend, found.verdict) == (trend, verdict)


def test_where_nothing_curves_upwards_no_step_is_too_long():
    w = nn.Parameter(torch.ones(3))
    c = dx.curvature(lambda: -(w * w).sum(), [w], optimizer=torch.optim.SGD([w], lr=1.0))
    found = c.stability()
    assert found.verdict == "no limit"
    assert found.lr_limit.low == math.inf


def test_a_saddle_is_left_along_its_curvature_with_the_loss_as_proof():
    c, w = function(lambda z: z[0] ** 2 - z[1] ** 2 + z[1] ** 4, [0.0, 0.0])
    found = c.escape()
    assert found.escaped
    assert found.before == 0
    assert -0.25 <= found.after < -0.24
    assert float(
        (z := (w + found.shift).detach())[0] ** 2 - z[1] ** 2 + z[1] ** 4
    ) == pytest.approx(found.after)


@pytest.mark.parametrize("side", [-1, 1])
def test_both_ways_along_the_curvature_are_tried(side):
    c, _ = function(
        lambda z: z[0] ** 2 - z[1] ** 2 + side * 0.8 * z[1] ** 3 + z[1] ** 4, [0.0, 0.0]
    )
    assert c.escape().after < -0.7


def test_noise_leaves_a_strict_saddle_that_gradient_descent_never_leaves():
    c, _ = function(lambda z: z[0] ** 2 - z[1] ** 2 + z[1] ** 4, [0.5, 0.0])
    found = c.escape("noise", steps=60)
    assert found.escaped
    assert found.without == pytest.approx(0, abs=1e-6)
    assert found.after < -0.2


def test_noise_where_descent_gets_down_by_itself_is_no_escape():
    c, _ = function(lambda z: z @ z, [1.0, 1.0])
    found = c.escape("noise")
    assert not found.escaped
    assert "without it" in str(found)


def test_without_negative_curvature_there_is_no_way_along_it():
    from torchdx.errors import CallError

    c, _ = function(lambda z: z @ z, [1.0, 1.0])
    with pytest.raises(CallError, match="No direction of negative curvature was found in 2"):
        c.escape()


def test_a_net_is_not_convex_and_a_chord_or_an_eigenvalue_proves_it():
    model, batch = net()
    assert float(torch.linalg.eigvalsh(exact(model, batch))[0]) < 0
    found = dx.curvature(model, nn.CrossEntropyLoss(), batch).convexity(pairs=5)
    assert found.verdict == "not convex"
    c, _ = function(lambda z: (z[0] ** 2 - 1) ** 2, [1.0])
    by_chord = c.convexity(pairs=20, radius=2.0)
    assert by_chord.verdict == "not convex"
    assert by_chord.lowest.low > 0
    assert by_chord.worst > 0


def test_update_of_leaves_parameters_that_another_optimizer_holds():
    model, batch = net()
    optimizer = torch.optim.SGD(model[0].parameters(), 0.1)
    c = dx.curvature(model, nn.CrossEntropyLoss(), batch, optimizer)
    update = update_of(optimizer, c._local.objective, torch.ones(c.n, dtype=torch.float64))
    assert torch.equal(update[:56], torch.full((56,), -0.1, dtype=torch.float64)) or torch.allclose(
        update[:56], torch.tensor(-0.1, dtype=torch.float64)
    )
    assert not update[56:].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_within_the_rounding_of_the_weights_does_not_descend(dtype):
    """Fewer rows than weights: the loss reaches rounding, its gradient never quite 0."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(20, 40, dtype=dtype), torch.randn(20, 1, dtype=dtype)
    net = nn.Linear(40, 1, bias=False, dtype=dtype)
    with torch.no_grad():
        solved = torch.linalg.lstsq(inputs.double(), targets.double()).solution
        net.weight.copy_(solved.T)
    c = dx.curvature(net, lambda m, b: (m(b[0]) - b[1]).pow(2).mean(), (inputs, targets))
    found = c.critical(full_batch=True)
    assert found.gradient_norm > 0
    assert found.verdict == "degenerate"
    with torch.no_grad():
        net.weight.mul_(1 + 1e4 * torch.finfo(dtype).eps)
    off = dx.curvature(net, lambda m, b: (m(b[0]) - b[1]).pow(2).mean(), (inputs, targets))
    assert off.critical(full_batch=True).verdict == "descending"
