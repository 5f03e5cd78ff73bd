"""What a Hessian tells of a training: products, steps that overshoot, saddles, and the edge.

Products with the Hessian come from differences of gradients or from a second backward pass. A step
that is too long for the curvature raises the loss. A strict saddle holds gradient descent only
where it stands exactly on it, and noise gets away; where the Hessian is zero its signs tell
nothing. And gradient descent itself drives a net to where its steps are just stable.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from torchdx.curvatures.curvature import curvature
from torchdx.lab.claims import above, below, equal
from torchdx.lab.data import Images, digits
from torchdx.lab.differentiated import Differentiated, Loss
from torchdx.lab.grouped import grouped
from torchdx.lab.lines import figure_lines
from torchdx.lab.models.linear import LinearNet, half_square
from torchdx.lab.models.mlp import mlp
from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Size, Study
from torchdx.report.charts.base import Chart, Figure, columns, quantity

IMAGES = 500
DISTANCES = [10.0**power for power in range(-6, 1)]  # of finite differences
ACTIVATIONS = {"tanh": nn.Tanh, "ReLU": nn.ReLU}
LOOKED = (0, 10, 40, 160)  # steps of training before a step is judged
MULTIPLES = (0.1, 0.25, 0.5, 0.8, 1.25, 2.0, 4.0)  # of the step that the parabola calls neutral
RATES = {"tanh": 0.2, "quadratic": 0.05}  # of training between looks
ESCAPING = {"quick": 3_000, "full": 30_000}  # steps
ESCAPE_RATE, NEAR = 0.02, 1e-6
DRAWN = 20_000  # symmetric matrices
EDGE = {"quick": (3_000, 100), "full": (20_000, 500)}  # steps, between readings
EDGE_RATE, SLOW, FEW = 0.5, 0.02, 16
LAST = 10  # readings


def run(size: Size, seed: int) -> Iterator[Row]:
    """Six experiments, each told by `kind`."""
    images, _ = digits().parted(IMAGES, seed)
    yield from _products(images, seed)
    yield from _steps(images, seed)
    yield from _signs(seed)
    yield from _points(seed)
    yield from _escapes(ESCAPING[size], seed)
    yield from _edge(images, *EDGE[size], seed)


def _classifier(images: Images, activation: type[nn.Module], seed: int) -> Differentiated:
    torch.manual_seed(seed)
    net = mlp([64, 32, 10], activation=activation)
    return Differentiated(net, functional.cross_entropy, images.flat, images.labels)


def _regression(images: Images, sizes: Sequence[int], seed: int) -> Differentiated:
    """Squared errors to the classes, on centred pixels; a quadratic without a hidden layer."""
    torch.manual_seed(seed)
    net = mlp(sizes, activation=nn.Tanh)
    inputs, classes = images.flat - images.flat.mean(0), functional.one_hot(images.labels, 10)
    return Differentiated(net, half_square, inputs, classes.float())


def _products(images: Images, seed: int) -> Iterator[Row]:
    """Products along a random direction and along the gradient: differences, torchdx, by hand."""
    cases = {name: _classifier(images, a, seed) for name, a in ACTIVATIONS.items()}
    for case in cases.values():
        case.descend(5, lr=0.1)
    cases["quadratic"] = _regression(images, [64, 10], seed)
    for name, case in cases.items():
        gradient = case.gradient()
        drawn = torch.randn(len(gradient), generator=torch.Generator().manual_seed(seed))
        for along, vector in (("random", drawn), ("gradient", gradient)):
            unit = vector / vector.norm()
            exact = case.product(unit)
            with curvature(case.net, case.loss, (case.inputs, case.targets)) as asked:
                found = {math.nan: asked.hvp(unit)}
            found |= {h: case.differenced(unit, h) for h in DISTANCES}
            for distance, product in found.items():
                error = float((product.double() - exact).norm() / exact.norm())
                way = "differences" if distance == distance else "torchdx"  # noqa: PLR0124  # NaN
                where: Row = {"case": name, "along": along, "distance": distance}
                yield {"kind": "product", "way": way, **where, "error": error}


def _steps(images: Images, seed: int) -> Iterator[Row]:
    """Gradient steps around the one that the parabola calls neutral: what they promise and do."""
    nets = {"tanh": _classifier(images, nn.Tanh, seed)}
    nets["quadratic"] = _regression(images, [64, 10], seed)
    for name, case in nets.items():
        for before, looked in pairwise((0, *LOOKED)):
            case.descend(looked - before, RATES[name])
            gradient = case.double().gradient()
            square, curved = float(gradient @ gradient), float(gradient @ case.product(gradient))
            rates = [multiple * 2 * square / abs(curved) for multiple in MULTIPLES]
            for lr in (RATES[name], *rates):
                told: Row = {"case": name, "trains": lr == RATES[name]}
                yield {"kind": "step", **told, **_step(case, lr, square, curved)}


def _step(case: Differentiated, lr: float, square: float, curved: float) -> Row:
    optimizer = torch.optim.SGD(case.net.parameters(), lr=lr)
    with curvature(case.net, case.loss, (case.inputs, case.targets), optimizer) as asked:
        found = asked.step()
    by_hand = -lr * square + lr**2 / 2 * curved
    return {
        "multiple": lr * curved / (2 * square),
        "overshoots": lr**2 / 2 * curved > lr * square,
        "raised": found.measured > 0,
        "too_long": found.verdict == "too long",
        "missed": abs(found.predicted - found.measured) / abs(found.measured),
        "apart": abs(found.predicted - by_hand) / abs(by_hand),
    }


def _signs(seed: int) -> Iterator[Row]:
    """Random symmetric matrices of order 3: how many have positive eigenvalues only."""
    draw = torch.Generator().manual_seed(seed)
    square = torch.randn(DRAWN, 3, 3, generator=draw)
    full = torch.linalg.eigvalsh(square + square.mT)
    tossed = torch.diagonal(square, dim1=1, dim2=2)
    for name, values in (("symmetric", full), ("independent", tossed)):
        yield {"kind": "signs", "case": name, "minima": float((values > 0).all(1).float().mean())}


def _plane(function: Loss) -> tuple[Callable[[], torch.Tensor], list[torch.Tensor]]:
    at = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    return lambda: function(at[0], at[1]), [at]


def _points(seed: int) -> Iterator[Row]:
    """Critical points, what they are, and what is said of them."""
    two, three, solved = LinearNet(2, seed), LinearNet(3, seed), LinearNet(2, seed).solved()
    points: dict[str, tuple[str, Callable[[], torch.Tensor], list[torch.Tensor]]] = {
        "two layers": ("saddle", two, two.weights),
        "three layers": ("saddle", three, three.weights),
        "x^2 - y^2": ("saddle", *_plane(lambda x, y: x**2 - y**2)),
        "x^3 - 3 x y^2": ("saddle", *_plane(lambda x, y: x**3 - 3 * x * y**2)),
        "x^2 + y^2": ("minimum", *_plane(lambda x, y: x**2 + y**2)),
        "x^4 + y^4": ("minimum", *_plane(lambda x, y: x**4 + y**4)),
        "solved": ("minimum", solved, solved.weights),
    }
    for name, (truth, closure, weights) in points.items():
        asked = curvature(closure, weights)
        ends, verdict = asked.extremes(), asked.critical(full_batch=True).verdict
        sharp, down = two.sharpness(), math.nan
        if name == "two layers":
            found = asked.escape()
            down = 1 - found.after / found.before
        yield {
            "kind": "point",
            "case": name,
            "truth": truth,
            "lowest": ends.lowest.middle,
            "apart": max(abs(ends.highest.middle - sharp), abs(ends.lowest.middle + sharp)) / sharp,
            "signs_right": (ends.lowest.low > 0) == (truth == "minimum"),
            "verdict": verdict,
            "wrong": verdict not in {truth, f"strict {truth}", "degenerate", "undecided"},
            "escaped": asked.escape(by="noise", seed=seed).escaped,
            "falls": down,
        }


def _escapes(steps: int, seed: int) -> Iterator[Row]:
    """From a saddle, or nearly: the share of the way down, and the steps to half of it."""
    arms = [(2, "at", w) for w in ("gradient", "momentum", "noise")] + [(3, "at", "noise")]
    arms += [(2, "near", w) for w in ("gradient", "momentum", "matched")]
    arms += [(2, "minimum", "noise")]
    for depth, start, way in arms:
        net = LinearNet(depth, seed)
        top = float(net().detach())
        if start != "at":
            net = net.solved() if start == "minimum" else net.displaced(NEAR)
        shares = [1 - loss / top for loss in _descended(net, way, steps)]
        half = next((step for step, share in enumerate(shares, 1) if share > 0.5), steps)
        arm: Row = {"kind": "escape", "depth": depth, "start": start, "way": way}
        for step in range(0, steps, steps // 60):
            yield {**arm, "part": "curve", "step": step, "share": shares[step]}
        moved = shares[-1] - shares[0]
        yield {**arm, "part": "end", "share": shares[-1], "moved": moved, "half": half}


def _descended(net: LinearNet, way: str, steps: int) -> Iterator[float]:
    """Losses before each step. `noise`: Ge et al.'s, a vector of length 1 added to the gradient."""
    momentum = 0.9 if way in {"momentum", "matched"} else 0.0
    lr = ESCAPE_RATE * (1 - momentum if way == "matched" else 1)
    optimizer = torch.optim.SGD(net.weights, lr=lr, momentum=momentum)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = net()
        loss.backward()
        if way == "noise":
            noise = [net.noise(weight.shape) for weight in net.weights]
            length = parameters_to_vector(noise).norm()
            for weight, part in zip(net.weights, noise, strict=True):
                weight.grad = (0.0 if weight.grad is None else weight.grad) + part / length
        optimizer.step()
        yield float(loss.detach())


def _edge(images: Images, steps: int, every: int, seed: int) -> Iterator[Row]:
    """Training at one rate: step size against curvature, as torchdx reads it, and the loss."""
    hidden, bare = [64, 64, 64, 10], [64, 10]
    limit = _limit(_regression(images, bare, seed))
    arms = (
        ("full batch", hidden, EDGE_RATE, None, steps),
        ("slow", hidden, SLOW, None, steps),
        ("small batches", hidden, EDGE_RATE, FEW, steps),
        ("convex", bare, 0.5 * limit, None, steps),
        ("convex, beyond", bare, 1.1 * limit, None, 100),
    )
    for name, sizes, lr, batch, duration in arms:
        case = _regression(images, sizes, seed)
        for row in _hovering(case, lr, batch, range(0, duration + 1, every), seed):
            yield {"kind": "edge", "arm": name, **row}


def _limit(case: Differentiated) -> float:
    with curvature(case.net, case.loss, (case.inputs, case.targets)) as asked:
        return 2 / asked.extremes().highest.middle


def _hovering(
    case: Differentiated, lr: float, batch: int | None, looks: range, seed: int
) -> Iterator[Row]:
    optimizer = torch.optim.SGD(case.net.parameters(), lr=lr)
    draw = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for step in range(looks[-1] + 1):
        if step in looks:
            lately = losses[-300:]
            with curvature(case.net, case.loss, (case.inputs, case.targets), optimizer) as asked:
                found = asked.stability(lately, products=40)
            rises = float(np.mean(np.diff(lately) > 0)) if lately else math.nan
            whole = float(case.value().detach())
            told: Row = {"ratio": found.ratio.middle, "verdict": found.verdict, "rises": rises}
            yield {"step": step, "loss": whole, **told}
        rows = slice(None) if batch is None else torch.randint(IMAGES, (batch,), generator=draw)
        optimizer.zero_grad()
        loss = case.loss(case.net(case.inputs[rows]), case.targets[rows])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))


def difference_errors(rows: Rows, case: str) -> dict[float, float]:
    """By distance, the error of differences in the worse of both directions."""
    own = rows.where(kind="product", case=case, way="differences")
    return {
        h: float(own.where(distance=h)["error"].max()) for h in sorted(own.distinct("distance"))
    }


def best_difference(rows: Rows, case: str) -> float:
    """Decades of error at the distance that suits best."""
    return math.log10(min(difference_errors(rows, case).values()))


def carried_over(rows: Rows) -> float:
    """Decades of error on ReLU at the distance that suits tanh best."""
    on_tanh = difference_errors(rows, "tanh")
    return math.log10(difference_errors(rows, "ReLU")[min(on_tanh, key=on_tanh.__getitem__)])


def worse_at_ends(rows: Rows) -> float:
    """Decades by which the least and the largest distance are worse than the best, on tanh."""
    errors = list(difference_errors(rows, "tanh").values())
    return math.log10(min(errors[0], errors[-1]) / min(errors))


def own_error(rows: Rows) -> float:
    """Decades of error of torchdx's products, in the worst case."""
    return math.log10(rows.where(kind="product", way="torchdx")["error"].max())


def rightly_told(rows: Rows) -> float:
    """Of steps, those that raise the loss where curvature beats the slope, and only there."""
    own = rows.where(kind="step", case="tanh", trains=False)
    return float((own["overshoots"] == own["raised"]).mean())


def missed(rows: Rows, case: str, *, trains: bool, up_to: float = math.inf) -> float:
    """By what share of it the parabola misses the change of the loss, on average."""
    own = rows.where(kind="step", case=case, trains=trains)
    return float(own["missed"][np.abs(own["multiple"]) <= up_to].mean())


def share(rows: Rows, depth: int, start: str, way: str, column: str = "share") -> float:
    """Of the way down, at the end."""
    return rows.mean(column, kind="escape", part="end", depth=depth, start=start, way=way)


def earlier(rows: Rows, way: str) -> float:
    """Decades by which a way leaves a saddle's surroundings before gradient descent."""
    plain = share(rows, 2, "near", "gradient", "half")
    return math.log10(plain / share(rows, 2, "near", way, "half"))


def later_where_flat(rows: Rows) -> float:
    """Decades by which noise takes longer to leave three layers than two."""
    return math.log10(share(rows, 3, "at", "noise", "half") / share(rows, 2, "at", "noise", "half"))


def escaped(rows: Rows, truth: str) -> float:
    """Of critical points, those that torchdx's noise got away from, downwards."""
    own = rows.where(kind="point", truth=truth)
    return (
        own.mean("escaped") if truth == "minimum" else own.mean("escaped", verdict="strict saddle")
    )


def ratio(rows: Rows, arm: str) -> float:
    """Of the step size to the largest stable one, the middle of the last readings."""
    return float(np.median(rows.where(kind="edge", arm=arm)["ratio"][-LAST:]))


def grown(rows: Rows, arm: str, column: str) -> float:
    """Decades from the first reading to the last."""
    own = rows.where(kind="edge", arm=arm)[column]
    return math.log10(own[-1] / own[0])


def fall_beyond(rows: Rows) -> float:
    """Decades by which the loss falls from the first reading beyond the limit on."""
    own = rows.where(kind="edge", arm="full batch")
    beyond = own["loss"][own["ratio"] > 1]
    return math.log10(beyond[0] / own["loss"][-1]) if len(beyond) else math.nan


def rises(rows: Rows) -> float:
    """Of steps before the last readings, those that raise the loss."""
    return float(rows.where(kind="edge", arm="full batch")["rises"][-LAST:].mean())


def faulted(rows: Rows) -> float:
    """Of the last readings, those that torchdx calls a fault."""
    last = rows.where(kind="edge", arm="full batch")["verdict"][-LAST:]
    return float(np.isin(last, ["unstable", "beyond the limit"]).mean())


def figure(rows: Rows) -> Figure:
    """Errors of differences, ways down from a saddle, and the edge."""
    says = (
        f"At best, differences of gradients are 10^{best_difference(rows, 'tanh'):.1f} "
        f"off on tanh and 10^{best_difference(rows, 'ReLU'):.1f} on ReLU, a second backward pass "
        f"10^{own_error(rows):.1f}. From a saddle noise leads {share(rows, 2, 'at', 'noise'):.0%} "
        f"of the way down, plain descent {share(rows, 2, 'at', 'gradient'):.0%}. With all rows the "
        f"step ends at {ratio(rows, 'full batch'):.2f} of the largest stable one."
    )
    panels = [figure_products(rows), figure_escapes(rows), figure_edge(rows)]
    chart = {"hconcat": panels, "resolve": {"scale": {"color": "independent"}}}
    return Figure("hessian", "Products, saddles and the edge of stability", says, chart)


def figure_products(rows: Rows) -> Chart:
    """Error by distance, a line a net, along random directions."""
    own = rows.where(kind="product", way="differences", along="random")
    found = grouped(own, ["case", "distance"], "error")
    data = columns(**{n: [row[n] for row in found] for n in ("case", "distance", "error")})
    ticks = {"axis": {"format": "~e", "values": DISTANCES[::2]}}
    x = quantity("distance", "distance of the two gradients", "log") | ticks
    return figure_lines(data, "case", x, quantity("error", "error of the product", "log"))


def figure_escapes(rows: Rows) -> Chart:
    """Share of the way down by step, a line an arm; at the saddle, momentum does as descent."""
    own = rows.where(kind="escape", part="curve")
    own = own.take(
        (own["start"] != "minimum") & ((own["start"] == "near") | (own["way"] != "momentum"))
    )
    found = grouped(own, ["depth", "start", "way", "step"], "share")
    data = columns(
        arm=[
            f"{r['way']}, {r['start']}, {'three' if r['depth'] == 3 else 'two'} layers"
            for r in found
        ],
        step=[r["step"] for r in found],
        share=[r["share"] for r in found],
    )
    y = quantity("share", "share of the way down", "share")
    return figure_lines(data, "arm", quantity("step", "step"), y)


def figure_edge(rows: Rows) -> Chart:
    """Step size against the largest stable one, a line an arm."""
    found = grouped(rows.where(kind="edge"), ["arm", "step"], "ratio")
    data = columns(**{n: [r[n] for r in found] for n in ("arm", "step", "ratio")})
    y = quantity("ratio", "step size, of the largest stable one")
    return figure_lines(data, "arm", quantity("step", "step"), y)


_ERROR, _WAY = "decades of relative error", "share of the way down"
CLAIMS = (
    below("differences-on-tanh", "The Hessian-vector product can be had from two gradients, "
          "within a hundredth, on a net of tanh units.",
          partial(best_difference, case="tanh"), -1.0, 1.0, _ERROR),
    below("differences-on-relu", "It can be had so on a net of ReLUs.",
          partial(best_difference, case="ReLU"), -1.0, 1.0, _ERROR),
    below("distance-carries-over", "The distance that suits tanh best serves on ReLUs, too.",
          carried_over, -1.0, 1.0, _ERROR),
    above("best-distance", "A smaller distance of the two gradients is better, until rounding "
          "makes it worse again.", worse_at_ends, 0.0, 1.0, "decades"),
    below("second-backward-pass", "torchdx's products, from a second backward pass, are right to "
          "single precision on all nets, ReLUs too.", own_error, -3.0, 1.0, _ERROR),
    above("overshooting-is-told", "A gradient step raises the loss where (eps^2 / 2) g'Hg exceeds "
          "eps g'g, and only there.", rightly_told, 0.8, 0.1, "share of steps"),
    equal("parabola-predicts", "To second order the change of the loss is predicted, for steps up "
          "to half of that.", partial(missed, case="tanh", trains=False, up_to=0.55), 0.0, 0.1,
          "share of the change"),
    equal("parabola-in-training", f"It is for steps at the rate of training, {RATES['tanh']}.",
          partial(missed, case="tanh", trains=True), 0.0, 0.1, "share of the change"),
    equal("steps-by-hand", "torchdx's prediction is the one taken by hand.",
          lambda rows: float(rows.where(kind="step")["apart"].max()), 0.0, 1e-3, "share"),
    equal("minima-are-rare", "A critical point in n dimensions is a minimum with probability "
          "1 / 2^n (here n = 3, entries of the Hessian at random).",
          lambda rows: rows.mean("minima", kind="signs", case="symmetric"), 0.125, 0.0125,
          "share of matrices", published=0.125),
    equal("two-layers-are-strict", "At zero, a linear net of two layers has the curvatures "
          "+-sigma, the largest singular value of targets and inputs.",
          lambda rows: rows.mean("apart", kind="point", case="two layers"), 0.0, 1e-6, "share"),
    below("every-saddle-is-strict", "At the saddle of a linear net of three layers, too, the "
          "Hessian has a negative eigenvalue.",
          lambda rows: rows.mean("lowest", kind="point", case="three layers"), 0.0, 1e-3,
          "curvature"),
    equal("signs-tell", "The signs of the Hessian's eigenvalues tell minima from saddles.",
          lambda rows: rows.mean("signs_right", kind="point"), 1.0, 0.0, "share of points"),
    equal("torchdx-abstains", "torchdx calls no critical point what it is not.",
          lambda rows: rows.mean("wrong", kind="point"), 0.0, 0.0, "share of points"),
    above("along-negative-curvature", "A step along negative curvature leads down from a saddle.",
          lambda rows: rows.mean("falls", kind="point", case="two layers"), 0.0, 0.1, _WAY),
    equal("descent-stays", "Gradient descent does not leave a saddle on which it stands.",
          partial(share, depth=2, start="at", way="gradient"), 0.0, 1e-3, _WAY),
    above("momentum-leaves", "With momentum it does.",
          partial(share, depth=2, start="at", way="momentum"), 0.0, 0.5, _WAY),
    above("momentum-hurries", "From nearby, momentum gets away sooner, at the same rate.",
          partial(earlier, way="momentum"), 0.0, 0.3, "decades of steps"),
    equal("momentum-matched", "It does not where the rate is divided by what momentum multiplies.",
          partial(earlier, way="matched"), 0.0, 0.15, "decades of steps"),
    above("noise-leaves", "Noise of length 1, added to each gradient, gets away from a strict "
          "saddle.", partial(share, depth=2, start="at", way="noise"), 0.0, 0.5, _WAY),
    above("flat-saddles-hold-longer", "Noise takes longer where the Hessian is zero.",
          later_where_flat, 0.0, 0.1, "decades of steps"),
    equal("torchdx-escapes", "torchdx's `escape(by='noise')` gets away from each strict saddle.",
          partial(escaped, truth="saddle"), 1.0, 0.0, "share of points"),
    equal("edge-of-stability", "With all rows a batch, sharpness rises until the step is just "
          "stable, and hovers there.", partial(ratio, arm="full batch"), 1.0, 0.05,
          "of the limit", published=1.0),
    above("falls-beyond-it", "The loss goes on falling beyond the limit.", fall_beyond, 0.0, 0.3,
          "decades"),
    above("not-at-each-step", "It does not fall at each step.", rises, 0.0, 0.1, "share of steps"),
    equal("torchdx-calls-no-fault", "torchdx calls this no fault.", faulted, 0.0, 0.1,
          "share of readings"),
    below("small-batches", f"With {FEW} rows a batch, sharpness stays below the edge.",
          partial(ratio, arm="small batches"), 1.0, 0.05, "of the limit"),
    above("convex-diverges", "A convex quadratic diverges just beyond the limit.",
          partial(grown, arm="convex, beyond", column="loss"), 0.0, 1.0, "decades"),
)  # fmt: skip
CONTROLS = (
    equal("parabola-on-quadratic", "On a quadratic the prediction is exact.",
          partial(missed, case="quadratic", trains=False), 0.0, 0.01, "share of the change",
          control=True),
    below("differences-on-quadratic", "On a quadratic two gradients give the product.",
          partial(best_difference, case="quadratic"), -2.0, 1.0, _ERROR, control=True),
    equal("independent-signs", "Where curvatures are independent, minima are as rare as coins say.",
          lambda rows: rows.mean("minima", kind="signs", case="independent"), 0.125, 0.0125,
          "share of matrices", control=True),
    equal("noise-at-a-minimum", "Noise leads nowhere from a minimum.",
          partial(share, depth=2, start="minimum", way="noise", column="moved"), 0.0, 0.05, _WAY,
          control=True),
    equal("no-escape-from-minima", "torchdx escapes from no minimum.",
          partial(escaped, truth="minimum"), 0.0, 0.0, "share of points", control=True),
    below("slow-is-no-edge", f"The rate {SLOW} does not get to the edge in as many steps.",
          partial(ratio, arm="slow"), 1.0, 0.1, "of the limit", control=True),
    equal("convex-has-no-edge", "On a convex quadratic sharpness does not move.",
          partial(grown, arm="convex", column="ratio"), 0.0, 0.01, "decades", control=True),
)  # fmt: skip

STUDY = Study(
    name="hessian",
    title="What a Hessian tells of a training: saddles, steps that overshoot, and the edge.",
    source="Hessians, a tool for debugging neural network optimization, rohanvarma.me, 2019",
    paper=(
        "Goodfellow et al. 2016, Deep Learning, eq. 8.10; Ge et al. 2015, arXiv 1503.02101; Cohen "
        "et al. 2021, arXiv 2103.00065"
    ),
    setting=(
        f"{IMAGES} of scikit-learn's digits; nets of 64-32-10 units, cross-entropy, for products "
        "and steps; 64-64-64-10 tanh, squared errors, rate 0.5 for the edge (CIFAR-10 there), the "
        "setting in which it had been seen before, on seed 0; linear nets of 6-4-3 and 6-4-4-3 "
        "units for saddles, in double precision. The essay gives no numbers; claims that are not "
        "its own are those of the papers that it rests on. Bounds and verdicts are torchdx's."
    ),
    amended=(
        "With seed 0 in view, two claims were added: on one distance for both nets "
        "(distance-carries-over) and on steps at the rate of training (parabola-in-training)."
    ),
    claims=CLAIMS + CONTROLS,
    run=run,
    figure=figure,
)
