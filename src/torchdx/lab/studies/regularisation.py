"""Penalties on weights as priors, what they trade, and penalties on activations."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import torchdx as dx
from torchdx.lab.data import Images, digits, mnist
from torchdx.lab.models.mlp import mlp
from torchdx.lab.rows import Column, Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Figure, columns, quantity, told

NOISE = 4.0  # variance of the targets
SPREAD = 0.5  # variance of the weights, their Gaussian prior
WIDTH = 0.3  # of their Laplace prior
ROWS, FEATURES = 40, 8
CASES = {"noisy": (ROWS, NOISE), "plenty": (2000, 0.01)}  # rows, noise
PROBLEMS = {"quick": 8, "full": 40}
REFITS = {"quick": 1000, "full": 10_000}
SWEEPS = {"quick": 1500, "full": 10_000}  # of the sampler of the Laplace posterior
GRID = tuple(10 ** (half / 2) for half in range(-4, 5))  # multiples of the penalty that suits
TARGET = 0.05  # activation that each hidden unit is to have on average
HIDDEN = 50
STEPS = {"quick": 400, "full": 2000}
DECAYS = (0.0003, 0.001, 0.003, 0.01)
DROPS = (0.1, 0.2, 0.5)
FEW = 800  # images that the nets of the comparison learn from


def run(size: Size, seed: int) -> Iterator[Row]:
    """Linear problems, drawn anew; sparse hidden layers; dropout beside decay."""
    for number in range(PROBLEMS[size]):
        problem = 1000 * seed + number
        yield from _priors(problem, SWEEPS[size])
        yield from _trade(problem, REFITS[size], "noisy")
        yield from _trade(problem, REFITS[size], "plenty")
        yield _singular(problem)
    yield from _sparse(STEPS[size], seed)
    yield from _dropped(STEPS[size], seed)


def _problem(
    seed: int, rows: int, noise: float, *, laplace: bool = False
) -> tuple[Column, Column, Column]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, FEATURES))
    gauss, sharp = draw.normal(0, math.sqrt(SPREAD), FEATURES), draw.laplace(0, WIDTH, FEATURES)
    weights = sharp if laplace else gauss
    return x, x @ weights + draw.normal(0, math.sqrt(noise), rows), weights


def ridge(x: Column, y: Column, penalty: float) -> Column:
    """The weights that ridge regression comes to, with penalty x |w|^2."""
    found: Column = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return found


def _priors(seed: int, sweeps: int) -> Iterator[Row]:
    """Ridge and lasso against the most likely weights under their priors."""
    from sklearn.linear_model import Lasso  # type: ignore[import-untyped]  # noqa: PLC0415

    x, y, _ = _problem(seed, ROWS, NOISE)
    most = _most_likely(x, y)
    yield {"part": "prior", "prior": "Gauss",
           "difference": float(np.abs(ridge(x, y, NOISE / SPREAD) - most).max())}  # fmt: skip
    x, y, _ = _problem(seed, ROWS, NOISE, laplace=True)
    most = _proximal(x, y)
    rule = NOISE / WIDTH
    settings = {"tol": 1e-12, "max_iter": 100_000, "fit_intercept": False}
    lasso = Lasso(alpha=rule / ROWS, **settings).fit(x, y).coef_
    trap = Lasso(alpha=rule, **settings).fit(x, y).coef_
    mean = _laplace_mean(x, y, sweeps, seed)
    yield {
        "part": "prior",
        "prior": "Laplace",
        "difference": float(np.abs(lasso - most).max()),
        "without_rows": float(np.abs(trap - most).max()),
        "zeros": float((lasso == 0).mean()),
        "zeros_of_mean": float((np.abs(mean) < 1e-6).mean()),
    }


def _most_likely(x: Column, y: Column) -> Column:
    """Under the Gaussian prior, by LBFGS on the negative logarithm of the posterior."""
    inputs, targets = torch.tensor(x), torch.tensor(y)
    w = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    exact = {"max_iter": 500, "tolerance_grad": 1e-12, "tolerance_change": 1e-15}
    optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe", **exact)  # type: ignore[arg-type]

    def closure() -> float:
        optimizer.zero_grad()
        loss = (inputs @ w - targets).square().sum() / (2 * NOISE)
        loss = loss + w.square().sum() / (2 * SPREAD)
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    return w.detach().numpy()


def _proximal(x: Column, y: Column) -> Column:
    """The most likely weights under the Laplace prior: steps down the likelihood, shrunk."""
    top = np.linalg.eigvalsh(x.T @ x / NOISE).max()
    w = np.zeros(x.shape[1])
    for _ in range(3000):
        stepped = w - x.T @ (x @ w - y) / NOISE / top
        w = np.sign(stepped) * np.maximum(np.abs(stepped) - 1 / (WIDTH * top), 0)
    return w


def _laplace_mean(x: Column, y: Column, sweeps: int, seed: int) -> Column:
    """The mean of the posterior under the Laplace prior (Park and Casella's Gibbs sampler)."""
    draw = np.random.default_rng(seed)
    w, total = ridge(x, y, NOISE / SPREAD), np.zeros(x.shape[1])
    square, cross = x.T @ x / NOISE, x.T @ y / NOISE
    for sweep in range(sweeps):
        inverse = draw.wald(1 / (WIDTH * np.maximum(np.abs(w), 1e-9)), 1 / WIDTH**2)
        root = np.linalg.cholesky(square + np.diag(inverse))
        mean = np.linalg.solve(root.T, np.linalg.solve(root, cross))
        w = mean + np.linalg.solve(root.T, draw.normal(size=len(mean)))
        total += w * (sweep >= sweeps // 5)
    found: Column = total / (sweeps - sweeps // 5)
    return found


def _trade(seed: int, refits: int, case: str) -> Iterator[Row]:
    """Squared bias and variance of the weights by penalty, exact and from refits."""
    rows, noise = CASES[case]
    x, _, weights = _problem(seed, rows, noise)
    draw = np.random.default_rng(seed)
    targets = x @ weights + draw.normal(0, math.sqrt(noise), (refits, rows))
    suits = noise * FEATURES / float(weights @ weights)
    for times in (0.0, *GRID):
        maps = np.linalg.solve(x.T @ x + times * suits * np.eye(FEATURES), x.T)
        bias = maps @ x @ weights - weights
        found = targets @ maps.T
        yield {
            "part": "trade",
            "case": case,
            "problem": seed,
            "times": times,
            "bias2": float(bias @ bias),
            "variance": noise * float((maps**2).sum()),
            "refitted": float(((found - weights) ** 2).sum(1).mean()),
        }


def _singular(seed: int) -> Row:
    """Fewer rows than features: the smallest eigenvalue without and with a penalty of 1."""
    x = np.random.default_rng(seed).normal(size=(FEATURES // 2, FEATURES))
    plain, penalised = (np.linalg.eigvalsh(x.T @ x + p * np.eye(FEATURES)).min() for p in (0, 1))
    return {"part": "singular", "smallest": float(plain), "with_penalty": float(penalised)}


ARMS = {  # activation, weight of the penalty, average asked for (below 0: the plain net's own)
    "sigmoid": (nn.Sigmoid, 0.0, 0.0),
    "sigmoid, KL": (nn.Sigmoid, 1.0, TARGET),
    "sigmoid, gentle KL": (nn.Sigmoid, 0.1, TARGET),
    "sigmoid, KL to own": (nn.Sigmoid, 1.0, -1.0),
    "ReLU": (nn.ReLU, 0.0, 0.0),
    "ReLU, L1": (nn.ReLU, 0.01, 0.0),
}


def _sparse(steps: int, seed: int) -> Iterator[Row]:
    """Nets on digits whose hidden activations are penalised, measured by torchdx on all rows."""
    images = digits()
    learned, others = images.parted(1200, seed)
    own = TARGET
    for arm, (activation, weight, target) in ARMS.items():
        torch.manual_seed(seed)
        net = mlp([64, HIDDEN, 10], activation=activation)
        wanted = own if target < 0 else target
        _learn_sparsely(net, _batches(learned, steps, 256, seed), weight, wanted)
        found = _measured(net, learned) | _by_unit(net, learned)
        own = found["activation"] if arm == "sigmoid" else own
        accuracy = _accuracy(net, others)
        yield {"part": "sparse", "arm": arm, "wanted": wanted, "accuracy": accuracy, **found}


def kl(average: torch.Tensor, target: float) -> torch.Tensor:
    """Of switches that are on with the target's probability from those on with the average's."""
    q = average.clamp(1e-6, 1 - 1e-6)
    return target * (target / q).log() + (1 - target) * ((1 - target) / (1 - q)).log()


def _batches(images: Images, steps: int, rows: int, seed: int) -> Iterator[Images]:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        yield images.take(torch.randint(len(images), (rows,), generator=draw))


def _learn_sparsely(
    net: nn.Sequential, batches: Iterator[Images], weight: float, target: float
) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for batch in batches:
        hidden = net[:2](batch.flat)
        loss = functional.cross_entropy(net[2](hidden), batch.labels)
        if weight:
            loss = loss + weight * (
                kl(hidden.mean(0), target).sum() if target else hidden.abs().sum(1).mean()
            )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _measured(net: nn.Sequential, images: Images) -> dict[str, float]:
    """By torchdx, at a step of length 0."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.dx"
        with dx.watch(net, optimizer, quiet=True, record=file) as watched:
            functional.cross_entropy(net(images.flat), images.labels).backward()
            optimizer.step()
        record = watched.record
    zeros, mean = (record.series(f"activation.{name}", "1")[0][1] for name in ("zeros", "mean"))
    return {"activation": float(mean), "zeros": float(zeros)}


def _by_unit(net: nn.Sequential, images: Images) -> dict[str, float]:
    """How far units' averages lie from the target, and how many answers are above a half."""
    with torch.no_grad():
        hidden = net[:2](images.flat)
    return {
        "off": float((hidden.mean(0) - TARGET).abs().mean()),
        "on": float((hidden > 0.5).float().mean()),
    }


def _accuracy(net: nn.Module, images: Images) -> float:
    net.eval()
    with torch.no_grad():
        return float((net(images.flat).argmax(1) == images.labels).float().mean())


def _dropped(steps: int, seed: int) -> Iterator[Row]:
    """Nets on few images: plain, with decay or with dropout of several strengths."""
    images = mnist().pooled(14)
    learned, others = images.parted(FEW, seed)
    chosen_on, judged_on = others.parted(1000, seed)
    arms = [("plain", 0.0), *(("decay", d) for d in DECAYS), *(("dropout", d) for d in DROPS)]
    for arm, strength in arms:
        torch.manual_seed(seed)
        net = mlp([196, 100, 10])
        if arm == "dropout":
            net.insert(2, nn.Dropout(strength))
        decay = strength if arm == "decay" else 0.0
        _learn(net, _batches(learned, 2 * steps, 64, seed), decay)
        yield {
            "part": "dropped",
            "arm": arm,
            "strength": strength,
            "chosen_on": _accuracy(net, chosen_on),
            "judged_on": _accuracy(net, judged_on),
        }


def _learn(net: nn.Module, batches: Iterator[Images], decay: float) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
    for batch in batches:
        optimizer.zero_grad()
        functional.cross_entropy(net(batch.flat), batch.labels).backward()
        optimizer.step()


def largest_difference(rows: Rows, prior: str, column: str = "difference") -> float:
    """Of weights, over all problems."""
    return float(rows.where(part="prior", prior=prior)[column].max())


def _totals(rows: Rows, case: str) -> dict[float, float]:
    """Bias and variance together by penalty, a mean over problems."""
    of = rows.where(part="trade", case=case)
    found = {t: of.where(times=t) for t in of.distinct("times")}
    return {t: float((each["bias2"] + each["variance"]).mean()) for t, each in found.items()}


def gain(rows: Rows, case: str) -> float:
    """Of total error that the penalty that suits takes away, as a share."""
    totals = _totals(rows, case)
    return 1 - totals[1.0] / totals[0.0]


def variance_fall(rows: Rows) -> float:
    """Of the variance, by the penalty that suits, as a share."""
    of = rows.where(part="trade", case="noisy")
    return 1 - of.mean("variance", times=1.0) / of.mean("variance", times=0.0)


def total_spread(rows: Rows) -> float:
    """The logarithm of the largest total error over the smallest, along the penalties."""
    totals = _totals(rows, "noisy").values()
    return math.log(max(totals) / min(totals))


def bias_slope(rows: Rows) -> float:
    """Of the logarithm of bias by that of the penalty."""
    of = rows.where(part="trade", case="noisy")
    of = of.take(of["times"] > 0)
    return float(np.polyfit(np.log(of["times"]), np.log(of["bias2"]) / 2, 1)[0])


def refit_error(rows: Rows) -> float:
    """Of refits against the formulae, as a share of the total."""
    of = rows.where(part="trade", case="noisy")
    return float((of["refitted"] / (of["bias2"] + of["variance"])).mean()) - 1


def zeros_apart(rows: Rows) -> float:
    """Of weights, lasso's less the posterior mean's."""
    of = rows.where(part="prior", prior="Laplace")
    return float((of["zeros"] - of["zeros_of_mean"]).mean())


def of_arm(rows: Rows, column: str, arm: str) -> float:
    """A measurement of a net with a hidden layer that is to be sparse."""
    return rows.mean(column, part="sparse", arm=arm)


def kl_gain(rows: Rows) -> float:
    """In accuracy on images that were not learned from, by the better of two strengths."""
    arms = ("sigmoid, KL", "sigmoid, gentle KL")
    best = max(of_arm(rows, "accuracy", arm) for arm in arms)
    return best - of_arm(rows, "accuracy", "sigmoid")


def chosen(rows: Rows, arm: str) -> float:
    """The accuracy with the strength that was best on other images."""
    of = rows.where(part="dropped", arm=arm)
    return float(of["judged_on"][int(of["chosen_on"].argmax())])


CLAIMS = (
    Claim(
        name="ridge-is-gaussian-prior",
        sentence="Ridge regression is the most likely weights under a Gaussian prior.",
        statistic=lambda rows: largest_difference(rows, "Gauss"),
        direction="equal",
        delta=1e-6,  # what an iterative solver leaves
        unit="weight",
        published=0.0,
    ),
    Claim(
        name="lasso-is-laplace-prior",
        sentence="Lasso, its penalty divided by the rows as scikit-learn wants it, is the most "
        "likely weights under a Laplace prior.",
        statistic=lambda rows: largest_difference(rows, "Laplace"),
        direction="equal",
        delta=1e-6,
        unit="weight",
        published=0.0,
    ),
    Claim(
        name="lasso-penalty-as-written",
        sentence="The same penalty as textbooks write it, handed to scikit-learn, gives the same.",
        statistic=lambda rows: largest_difference(rows, "Laplace", "without_rows"),
        direction="equal",
        delta=1e-6,
        unit="weight",
    ),
    Claim(
        name="most-likely-is-sparse",
        sentence="Under a Laplace prior the most likely weights have zeros, their mean has none.",
        statistic=zeros_apart,
        direction="above",
        delta=0.1,  # about one weight of eight
        unit="share of weights",
    ),
    Claim(
        name="ridge-varies-less",
        sentence="Ridge has a lower variance than least squares.",
        statistic=variance_fall,
        direction="above",
        delta=0.05,
        unit="share of variance",
    ),
    Claim(
        name="some-ridge-is-better",
        sentence="Some penalty errs less than least squares in all: noise x features / |w|^2.",
        statistic=lambda rows: gain(rows, "noisy"),
        direction="above",
        delta=0.02,
        unit="share of squared error",
    ),
    Claim(
        name="bias-proportional-to-penalty",
        sentence="Ridge's bias is proportional to its penalty.",
        statistic=bias_slope,
        direction="equal",
        target=1.0,
        delta=0.1,
        unit="exponent, over four decades",
        published=1.0,
    ),
    Claim(
        name="total-error-constant",
        sentence="The total error is constant, so that what ridge adds in bias it loses in "
        "variance.",
        statistic=total_spread,
        direction="equal",
        delta=math.log(1.1),
        unit="log of error, over four decades",
        published=0.0,
    ),
    Claim(
        name="refits-agree",
        sentence="Refits on new noise err as much as bias and variance together.",
        statistic=refit_error,
        direction="equal",
        delta=0.03,
        unit="share of squared error",
        published=0.0,
    ),
    Claim(
        name="ridge-is-always-there",
        sentence="Where least squares cannot be computed, ridge can: no eigenvalue is below the "
        "penalty.",
        statistic=lambda rows: rows.mean("with_penalty", part="singular"),
        direction="equal",
        target=1.0,
        delta=1e-6,
        unit="smallest eigenvalue / penalty",
        published=1.0,
    ),
    Claim(
        name="kl-sets-the-average",
        sentence="A KL penalty on average activations brings them to what is asked for.",
        statistic=lambda rows: of_arm(rows, "off", "sigmoid, KL"),
        direction="equal",
        delta=0.01,
        unit="activation",
        published=0.0,
    ),
    Claim(
        name="kl-makes-sparse",
        sentence="With it, few units are active for any particular input.",
        statistic=lambda rows: of_arm(rows, "on", "sigmoid") - of_arm(rows, "on", "sigmoid, KL"),
        direction="above",
        delta=0.1,
        unit="share of activations above 0.5",
    ),
    Claim(
        name="zeros-need-relu-and-l1",
        sentence="Activations of exactly zero come from ReLU with an L1 penalty, not from KL.",
        statistic=lambda rows: (
            of_arm(rows, "zeros", "ReLU, L1")
            - max(of_arm(rows, "zeros", "ReLU"), of_arm(rows, "zeros", "sigmoid, KL"))
        ),
        direction="above",
        delta=0.1,
        unit="share of activations",
    ),
    Claim(
        name="kl-generalises",
        sentence="Such a penalty, like others, improves what the net makes of new images.",
        statistic=kl_gain,
        direction="above",
        delta=0.01,  # one image in a hundred
        unit="accuracy",
    ),
    Claim(
        name="dropout-beats-decay",
        sentence="Dropout is much more successful than an L2 penalty.",
        statistic=lambda rows: chosen(rows, "dropout") - chosen(rows, "decay"),
        direction="above",
        delta=0.01,  # one image in a hundred
        unit="accuracy",
    ),
    Claim(
        name="nothing-to-gain-from-plenty",
        sentence="Where rows are many and noise is low, the penalty gains nothing.",
        statistic=lambda rows: gain(rows, "plenty"),
        direction="equal",
        delta=0.01,
        unit="share of squared error",
        control=True,
    ),
    Claim(
        name="asked-for-what-is",
        sentence="Asked for the average that the net has anyway, KL leaves it there.",
        statistic=lambda rows: (
            of_arm(rows, "activation", "sigmoid, KL to own") - of_arm(rows, "activation", "sigmoid")
        ),
        direction="equal",
        delta=0.02,
        unit="activation",
        control=True,
    ),
)


def figure(rows: Rows) -> Figure:
    """Bias and variance by penalty, mean over problems and seeds."""
    of = rows.where(part="trade", case="noisy")
    listed = []
    for times in GRID:
        each = of.where(times=times)
        bias, variance = float(each["bias2"].mean()), float(each["variance"].mean())
        refits = float(each["refitted"].mean())
        listed += [("squared bias", times, bias), ("variance", times, variance)]
        listed += [("both", times, bias + variance), ("refits", times, refits)]
    parts = ["squared bias", "variance", "both"]
    plain = float(of.where(times=0.0)["variance"].mean())
    data = columns(
        part=[p for p, *_ in listed],
        times=[t for _, t, _ in listed],
        error=[e for *_, e in listed],
    )
    part = {"field": "part", "type": "nominal", "title": None, "sort": parts}
    dashes = {"domain": parts, "range": [[6, 3], [2, 2], [1, 0]]}
    x = quantity("times", "penalty, as a multiple of noise × features / |w|²", "log")
    x |= {"axis": {"format": "~g", "values": [0.01, 0.1, 1, 10, 100]}}
    y = quantity("error", "squared error of the weights")
    line = {
        "transform": [{"filter": "datum.part !== 'refits'"}],
        "mark": {"type": "line"},
        "encoding": {
            "x": x,
            "y": y,
            "color": part | {"scale": {"domain": parts}},
            "strokeDash": part | {"scale": dashes},
            "tooltip": told(("part", "part"), ("times", "penalty"), ("error", "error")),
        },
    }
    points = {
        "transform": [{"filter": "datum.part === 'refits'"}],
        "mark": {"type": "point", "size": 60, "color": "gray"},
        "encoding": {"x": x, "y": y},
    }
    level = {
        "data": columns(error=[plain]),
        "mark": {"type": "rule", "strokeDash": [1, 3]},
        "encoding": {"y": y},
    }
    least = gain(rows, "noisy")
    says = (
        f"The penalty that suits takes {least:.0%} of the squared error of least squares (dotted "
        f"rule); its bias grows with the penalty to the power of {bias_slope(rows):.2f}."
    )
    chart = {"width": 560, "height": 260, "layer": [level, line, points], "data": data}
    return Figure(
        "regularisation", "What ridge trades, by formulae and by refits (dots)", says, chart
    )


STUDY = Study(
    name="regularisation",
    title="A penalty on weights is a prior on them, and trades bias for variance at a profit.",
    source="R. Varma, Interpreting Regularization as a Bayesian Prior (2017)",
    paper="Hoerl and Kennard 1970; Tibshirani 1996; Park and Casella 2008; Srivastava et al. 2014",
    setting=(
        "Linear problems of 40 rows and 8 features, drawn anew with weights from the prior; the "
        "Laplace posterior by Gibbs sampling. Hidden layers of 50 on scikit-learn's digits. "
        "Dropout and decay on 800 images of MNIST, 14 x 14, each at the strength that is best on "
        "1,000 others. The source argues from formulae and gives no numbers; lasso is not in it."
    ),
    claims=CLAIMS,
    run=run,
    figure=figure,
)
