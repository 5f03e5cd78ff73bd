"""What no peer answers: saddle or minimum, the largest stable step, the next step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import torchdx as dx
from benchmarks.curvature.nets import Case, points
from benchmarks.curvature.peers import available
from benchmarks.curvature.table import Row, within
from torchdx.curvatures.limits import limits_of
from torchdx.curvatures.objective import of_closure

NEGATIVE, MINIMUM = 6, 30
EDGE = 0.06
LR, STEPS, EACH = 0.5, 3000, 100  # of the run at the edge of stability


def _not_offered() -> dict[str, str]:
    peers, missing = available()
    return dict.fromkeys(peers, "not offered") | missing


def negative_rows(case: Case) -> Iterator[Row]:
    """Products until a negative eigenvalue is proven."""
    with dx.curvature(case.model, case.criterion, case.batch) as c:
        proven = next((k for k in range(1, 31) if c.extremes(products=k).lowest.high < 0), 31)
    with dx.curvature(case.model, case.criterion, case.batch) as c:
        verdict = c.critical(gradient_tol=float("inf"))
    spent = verdict.spent.products
    yield Row(
        "negative curvature proven",
        case.name,
        f"{proven} products; critical() says {verdict.verdict} after {spent}",
        f"at most {NEGATIVE} products",
        within((proven, NEGATIVE)) and verdict.verdict == "strict saddle",
        _not_offered(),
    )


def minimum_rows() -> Iterator[Row]:
    """Ridge-regularised softmax regression at its minimum: every eigenvalue is 0.01 or more."""
    x, y = points(2048, torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    model = nn.Linear(784, 10)
    parameters = list(model.parameters())

    def loss() -> Tensor:
        ridge = sum(p.square().sum() for p in parameters)
        return F.cross_entropy(model(x), y) + 0.005 * ridge

    optimizer = torch.optim.LBFGS(parameters, max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    found = dx.curvature(loss, parameters).critical(full_batch=True)
    spent = found.spent.products
    yield Row(
        "minimum certified at 99%",
        "ridge",
        f"{found.verdict}, every eigenvalue {found.lowest.low:.4f} or more (true: 0.0100), "
        f"{spent} products",
        f"at most {MINIMUM} products",
        within((spent, MINIMUM)) and found.verdict == "minimum",
        _not_offered(),
    )


OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, 0.01),
    "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
    "Nesterov": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.01),
}


@dataclass(frozen=True)
class _Limit:
    """Whether the stated limit is the limit: a hundredth below stays, a hundredth above grows."""

    name: str
    exact: bool


def step_rows(case: Case) -> Iterator[Row]:
    """What the verdict on the next step costs, and whether the stated limits are the limits."""
    spent = []
    for make in OPTIMIZERS.values():
        optimizer = make(case.parameters)
        with dx.curvature(case.model, case.criterion, case.batch, optimizer) as c:
            cost = c.step().spent
        spent.append((cost.products, cost.losses))
    limits = [_limit(name) for name in OPTIMIZERS]
    exact = [limit.name for limit in limits if limit.exact]
    products, losses = (max(each) for each in zip(*spent, strict=True))
    yield Row(
        "verdict on the next step; largest stable step",
        case.name,
        f"{products} product, {losses} losses; the limit of {', '.join(exact)} holds to 1%",
        "1 product, 2 losses; 4 optimizers",
        within((products, 1), (losses, 2)) and len(exact) == len(OPTIMIZERS),
        _not_offered(),
    )


def _limit(name: str) -> _Limit:
    """On a quadratic of curvatures 10, 1 and 0.1, in the scales that the optimizer has by then."""
    curvatures = torch.tensor([10.0, 1.0, 0.1], dtype=torch.float64)
    w = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def loss() -> Tensor:
        return 0.5 * (curvatures * w * w).sum()

    optimizer = OPTIMIZERS[name]([w])
    for _ in range(5):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    limit = dx.curvature(loss, [w], optimizer=optimizer).stability().lr_limit.middle
    scale = limits_of(optimizer, of_closure(loss, [w])).scale
    held = torch.ones(3, dtype=torch.float64) if scale is None else scale.square()
    ends = [_run(name, curvatures, held, factor * limit) for factor in (0.99, 1.01)]
    return _Limit(name, ends[0] < 1 < ends[1])


def _run(name: str, curvatures: Tensor, held: Tensor, lr: float) -> float:
    """Where 3000 steps lead, by the methods' own formulas with scales that are held still."""
    x, velocity = torch.ones_like(curvatures), torch.zeros_like(curvatures)
    for _ in range(3000):
        gradient = curvatures * x
        if name == "SGD":
            update = gradient
        elif name == "Adam":
            velocity = 0.9 * velocity + 0.1 * gradient
            update = velocity * held
        else:
            velocity = 0.9 * velocity + gradient
            update = gradient + 0.9 * velocity if name == "Nesterov" else velocity
        x = x - lr * update
    return float(x.norm())


def edge_rows() -> Iterator[Row]:
    """Full-batch gradient descent on 500 digits: sharpness times lr / 2 once it hovers."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16.0, dtype=torch.float32)[:500]
    x, y = x - x.mean(0), F.one_hot(torch.tensor(y)[:500], 10).float()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)

    def half_square(output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (output - target).square().sum(1).mean()

    c = dx.curvature(model, half_square, (x, y), optimizer)
    c.extremes()
    losses, ratios = [], []
    for step in range(STEPS + 1):
        if step % EACH == 0:
            c = c.renew()
            ratios.append(c.track(5).value * LR / 2)
        optimizer.zero_grad()
        loss = half_square(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    late = ratios[-10:]
    verdict = c.renew().stability(losses[-300:]).verdict
    yield Row(
        "edge of stability",
        "digits",
        f"lr over its limit {ratios[0]:.2f} at first, late {median(late):.3f} "
        f"({min(late):.3f} to {max(late):.3f}): {verdict}",
        "1 within 6%, called no fault",
        within((abs(median(late) - 1), EDGE)) and verdict in {"edge of stability", "near the edge"},
        _not_offered(),
    )
