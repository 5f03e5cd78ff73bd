"""Squared error, cross-entropy and hinge: how fast nets learn with each, and when they stop."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import torchdx as dx
from torchdx.lab.data import Images, mnist
from torchdx.lab.ensemble import Ensemble
from torchdx.lab.models.mlp import mlp
from torchdx.lab.rows import Column, Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.record.model import Record
from torchdx.report.charts.base import Chart, Figure, columns, quantity, steps, told
from torchdx.report.charts.theme import DASHES

SQUARE, CROSS, HINGE = "squared error", "cross-entropy", "hinge"
WRONG, UNDECIDED = "wrong and sure", "undecided"  # how a unit or a net begins
UNIT_STEPS = 20_000  # of a single unit, after which it counts as not there
UNIT_RATE = 0.15  # Nielsen's
UNIT_RATES = tuple(10 ** (half / 2) for half in range(-4, 7))
SIZES = (196, 30, 10)
RATES = (0.3, 0.55, 1.0, 1.8, 3.0, 5.5, 10.0, 18.0)
STEPS = {"quick": 800, "full": 3000}
LOOKS = 10  # every so many steps accuracy is taken
LEARNED = {"quick": 2000, "full": 4000}
THERE = 0.9  # accuracy on the training images that counts as learnt
BIAS = 4.0  # of every output, where a net begins wrong and sure: sigmoid(4) = 0.98
BATCH = 32
CLASSES = 10
PROBABILITIES = np.linspace(0.01, 0.98, 50)  # of the right class, as in the post
MARGIN_STEPS = {"quick": 20_000, "full": 100_000}


def run(size: Size, seed: int) -> Iterator[Row]:
    """A single unit, nets on images, the two cross-entropies, and margins of a linear model."""
    yield from _units(seed)
    learned, others = mnist().pooled(14).parted(LEARNED[size], seed)
    yield from _first_steps(learned, seed)
    yield from _races(learned, STEPS[size], seed)
    yield from _scores(seed)
    yield from _variants(learned, others, STEPS[size], seed)
    yield from _margins(MARGIN_STEPS[size], seed)


def _units(seed: int) -> Iterator[Row]:
    """A sigmoid unit with input 1 that is to answer 0 (Nielsen, chapter 3)."""
    draw = np.random.default_rng(seed)
    starts = {WRONG: float(draw.uniform(3, 5)), UNDECIDED: 0.0}
    for start, score in starts.items():
        for loss in (SQUARE, CROSS):
            for rate in (UNIT_RATE, *UNIT_RATES):
                outputs = _unit(loss, score, rate)
                speeds = -np.diff(outputs)
                below = np.flatnonzero(outputs < 0.5 * outputs[0])
                yield {
                    "part": "unit",
                    "start": start,
                    "loss": loss,
                    "rate": rate,
                    "steps": int(below[0]) if len(below) else UNIT_STEPS,
                    "first_speed": float(speeds[0] / speeds.max()),
                }
    score = starts[WRONG]
    yield {"part": "ratio", "start": WRONG, "ratio": _slope(CROSS, score) / _slope(SQUARE, score),
           "predicted": 1 / (_sigmoid(score) * (1 - _sigmoid(score)))}  # fmt: skip
    for step, pair in enumerate(
        zip(_unit(SQUARE, 4.0, UNIT_RATE, 300), _unit(CROSS, 4.0, UNIT_RATE, 300), strict=True)
    ):
        for loss, output in zip((SQUARE, CROSS), pair, strict=True):
            yield {"part": "unit curve", "loss": loss, "step": step, "output": float(output)}


def _sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(min(-score, 700.0)))


def _unit(loss: str, score: float, rate: float, steps: int = UNIT_STEPS) -> Column:
    """Outputs; weight and bias move alike, so that the score moves by twice the gradient."""
    outputs: list[float] = []
    for _ in range(steps):
        p = _sigmoid(score)
        outputs.append(p)
        if steps == UNIT_STEPS and p < 0.4 * outputs[0]:  # past its top speed
            break
        score -= 2 * rate * p * (p * (1 - p) if loss == SQUARE else 1)
    return np.array(outputs)


def _slope(loss: str, score: float) -> float:
    """Of a loss by the score of a unit that is to answer 0, by autograd."""
    z = torch.tensor(score, dtype=torch.float64, requires_grad=True)
    value = z.sigmoid().square() / 2 if loss == SQUARE else functional.softplus(z)
    return float(torch.autograd.grad(value, z)[0])


def _net(seed: int, *, wrong: bool) -> nn.Sequential:
    torch.manual_seed(seed)
    net = mlp(SIZES, activation=nn.Sigmoid)
    if wrong:
        nn.init.constant_(net[-1].bias, BIAS)  # type: ignore[arg-type]
    return net


def by_class(loss: str, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of sigmoid outputs against one and zeros, summed over classes, a mean of rows.

    Scores (..., rows, classes) of one net or of many.
    """
    wanted = functional.one_hot(labels, CLASSES).to(scores.dtype).expand_as(scores)
    if loss == SQUARE:
        return (scores.sigmoid() - wanted).square().sum(-1).mean(-1) / 2
    each = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    return each.sum(-1).mean(-1)


def _first_steps(images: Images, seed: int) -> Iterator[Row]:
    """What torchdx measures of the first step, from equal weights."""
    for start in (UNDECIDED, WRONG):
        for loss in (SQUARE, CROSS):
            net = _net(seed, wrong=start == WRONG).append(nn.Sigmoid())
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "first.dx"
                with dx.watch(net, optimizer, quiet=True, record=file) as watched:
                    outputs = net(images.flat[:512])
                    by_class(loss, outputs.logit(), images.labels[:512]).backward()
                    optimizer.step()
                record = watched.record
                yield {
                    "part": "first step",
                    "start": start,
                    "loss": loss,
                    "gradient": record.series("gradient.norm", "2.weight")[0][1],
                    "slope": _mean_slope(record, "3"),
                }


def _mean_slope(record: Record, place: str) -> float:
    """Of a sigmoid, p (1 - p), from the mean and the deviation of what it puts out."""
    mean = float(record.series("activation.mean", place)[0][1])
    deviation = float(record.series("activation.std", place)[0][1])
    return mean - (mean**2 + deviation**2)


def _races(images: Images, steps: int, seed: int) -> Iterator[Row]:
    """Both losses at all rates from equal weights, on equal batches, trained as one."""
    arms = [
        (s, loss, rate) for s in (UNDECIDED, WRONG) for loss in (SQUARE, CROSS) for rate in RATES
    ]
    nets = Ensemble([_net(seed, wrong=start == WRONG) for start, *_ in arms])
    rates = torch.tensor([rate for *_, rate in arms])
    square = torch.tensor([loss == SQUARE for _, loss, _ in arms])
    optimizer = torch.optim.SGD(nets.parameters(), lr=1.0)
    draw = torch.Generator().manual_seed(seed)
    there = torch.full((len(arms),), steps)
    for step in range(steps):
        if step % LOOKS == 0:
            reached = _accuracies(nets, images) >= THERE
            there[reached & (there == steps)] = step
        rows = torch.randint(len(images), (BATCH,), generator=draw)
        x, y = images.flat[rows], images.labels[rows]
        scores = nets(x)
        each = torch.where(square, by_class(SQUARE, scores, y), by_class(CROSS, scores, y))
        optimizer.zero_grad()
        (each * rates).sum().backward()
        optimizer.step()
    for (start, loss, rate), count in zip(arms, there.tolist(), strict=True):
        yield {"part": "race", "start": start, "loss": loss, "rate": rate, "steps": count}


def _accuracies(nets: Ensemble, images: Images) -> torch.Tensor:
    with torch.no_grad():
        return (nets(images.flat).argmax(-1) == images.labels).float().mean(-1)


def _scores(seed: int) -> Iterator[Row]:
    """Both cross-entropies of ten shares: the right one given, the others drawn."""
    draw = np.random.default_rng(seed)
    for right in PROBABILITIES.tolist():
        others = (1 - right) * draw.dirichlet(np.full(CLASSES - 1, 3.0))
        shares = torch.tensor([[right, *others]], dtype=torch.float64)
        first, second = (
            float(variant(shares.log(), torch.tensor([0]), all_=a)) for a in (False, True)
        )
        yield {"part": "score", "right": right, "first": first, "second": second}
    example = torch.tensor([[0.8, 0.2]], dtype=torch.float64).log()
    yield {"part": "example", "first": float(functional.cross_entropy(example, torch.tensor([0])))}


def variant(scores: torch.Tensor, labels: torch.Tensor, *, all_: bool) -> torch.Tensor:
    """Cross-entropy of softmax, with `all_` that of every wrong class being absent added.

    Scores (..., rows, classes) of one net or of many.
    """
    right = functional.one_hot(labels, scores.shape[-1]).to(scores.dtype)
    each = -(scores.log_softmax(-1) * right)
    if all_:
        absent = torch.log1p(-scores.softmax(-1).clamp_max(1 - 1e-6))
        each = each - absent * (1 - right)
    return each.sum(-1).mean(-1)


def _variants(learned: Images, others: Images, steps: int, seed: int) -> Iterator[Row]:
    """Nets trained with each of the two, at several rates, and how many others they get right."""
    rates = (0.3, 1.0, 2.0, 4.0, 8.0)
    arms = [(all_, rate) for all_ in (False, True) for rate in rates]
    whole = torch.tensor([all_ for all_, _ in arms])
    factors = torch.tensor([rate for _, rate in arms])
    nets = Ensemble([_net(seed, wrong=False) for _ in arms])
    optimizer = torch.optim.SGD(nets.parameters(), lr=1.0)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(learned), (BATCH,), generator=draw)
        scores, y = nets(learned.flat[rows]), learned.labels[rows]
        each = torch.where(whole, variant(scores, y, all_=True), variant(scores, y, all_=False))
        optimizer.zero_grad()
        (each * factors).sum().backward()
        optimizer.step()
    for (all_, rate), accuracy in zip(arms, _accuracies(nets, others).tolist(), strict=True):
        loss = "second" if all_ else "first"
        yield {"part": "variant", "loss": loss, "rate": rate, "accuracy": accuracy}


def _margins(steps: int, seed: int) -> Iterator[Row]:
    """A linear model on two clouds, apart or overlapping: how its weights grow."""
    draw = np.random.default_rng(seed)
    looks = np.unique(np.geomspace(10, steps, 40).astype(int))
    for clouds, distance in (("apart", 5.0), ("overlapping", 1.0)):
        signs = np.repeat([1.0, -1.0], 50)
        x = draw.normal(size=(100, 2)).clip(-2, 2) + signs[:, None] * distance / 2
        signed = x * signs[:, None]
        for loss in (HINGE, CROSS):
            norms = _norms(loss, signed, steps)
            for look in looks.tolist():
                yield {"part": "margin", "clouds": clouds, "loss": loss, "step": look,
                       "norm": float(norms[look - 1])}  # fmt: skip


def _norms(loss: str, signed: Column, steps: int, rate: float = 0.1) -> Column:
    """Of the weights, after each step of gradient descent."""
    weights, norms = np.zeros(signed.shape[1]), np.empty(steps)
    for step in range(steps):
        margins = signed @ weights
        pull = (margins < 1).astype(float) if loss == HINGE else 1 / (1 + np.exp(margins))
        weights += rate * pull @ signed / len(signed)
        norms[step] = math.hypot(*weights)
    return norms


def slower(rows: Rows, part: str, start: str, **equal: float) -> float:
    """How often as many steps squared error takes, as a power of two; each at its best rate."""
    of = rows.where(part=part, start=start, **equal)
    square, cross = (of.where(loss=loss)["steps"].min() for loss in (SQUARE, CROSS))
    return math.log2(max(square, 1) / max(cross, 1))


def held_back(rows: Rows, start: str) -> float:
    """How much more of its top speed cross-entropy begins with, as a power of ten."""
    of = rows.where(part="unit", start=start, rate=UNIT_RATE)
    first = {loss: of.mean("first_speed", loss=loss) for loss in (SQUARE, CROSS)}
    return math.log10(first[CROSS] / first[SQUARE])


def ratio_error(rows: Rows) -> float:
    """Of the gradients' ratio, against 1 / (p (1 - p))."""
    of = rows.where(part="ratio")
    return float((of["ratio"] / of["predicted"] - 1)[0])


def slope_at_start(rows: Rows) -> float:
    """The mean slope of the outputs' sigmoids in a net that was just made."""
    return rows.mean("slope", part="first step", start=UNDECIDED, loss=CROSS)


def gradients_apart(rows: Rows) -> float:
    """Of the output layer at the first step, wrong and sure: a power of ten."""
    of = rows.where(part="first step", start=WRONG)
    return math.log10(of.mean("gradient", loss=CROSS) / of.mean("gradient", loss=SQUARE))


def gap_spread(rows: Rows) -> float:
    """Between the largest and the smallest distance of the two cross-entropies."""
    of = rows.where(part="score")
    return float(np.ptp(of["second"] - of["first"]))


def share_higher(rows: Rows) -> float:
    """Of scores for which the second cross-entropy is the higher."""
    of = rows.where(part="score")
    return float((of["second"] > of["first"]).mean())


def variant_gain(rows: Rows) -> float:
    """Of the second over the first, in accuracy, each at its best rate."""
    of = rows.where(part="variant")
    best = [of.where(loss=loss)["accuracy"].max() for loss in ("second", "first")]
    return float(best[0] - best[1])


def growth(rows: Rows, loss: str, clouds: str) -> float:
    """Of the weights' norm, for each e-fold of steps, over the last tenth of their logarithm."""
    of = rows.where(part="margin", loss=loss, clouds=clouds)
    late = of.take(of["step"] >= of["step"].max() / 10)
    return float(np.polyfit(np.log(late["step"]), late["norm"], 1)[0])


CLAIMS = (
    Claim(
        name="unit-learns-faster",
        sentence="A unit that is wrong and sure learns faster with cross-entropy than with squared "
        "error, at the same rate.",
        statistic=lambda rows: slower(rows, "unit", WRONG, rate=UNIT_RATE),
        direction="above",
        delta=1.0,  # twice as many steps
        unit="log2 of steps",
    ),
    Claim(
        name="unit-faster-at-best-rate",
        sentence="It does so too when each loss has the rate that suits it best.",
        statistic=lambda rows: slower(rows, "unit", WRONG),
        direction="above",
        delta=1.0,
        unit="log2 of steps",
    ),
    Claim(
        name="unit-held-back",
        sentence="With squared error the wrong unit begins far below its top speed, further than "
        "with cross-entropy.",
        statistic=lambda rows: held_back(rows, WRONG),
        direction="above",
        delta=math.log10(2),
        unit="log10 of speed",
    ),
    Claim(
        name="ratio-of-gradients",
        sentence="The gradients differ by the slope of the sigmoid, p (1 - p), and nothing else.",
        statistic=ratio_error,
        direction="equal",
        delta=1e-9,  # rounding in float64
        unit="relative error",
        published=0.0,
    ),
    Claim(
        name="flat-at-the-start",
        sentence="Since weights begin close to 0, the slope of the sigmoid is very close to 0 at "
        "the beginning of training, so that squared error's gradient nearly vanishes.",
        statistic=slope_at_start,
        direction="below",
        target=0.125,  # half of the steepest that there is
        delta=0.0625,
        unit="slope",
        published=0.0,
    ),
    Claim(
        name="gradient-vanishes-when-wrong",
        sentence="In a net whose outputs are wrong and sure, squared error's gradient nearly "
        "vanishes beside that of cross-entropy.",
        statistic=gradients_apart,
        direction="above",
        delta=math.log10(3),
        unit="log10 of norm",
    ),
    Claim(
        name="images-learnt-faster",
        sentence="Images are learnt in fewer steps with cross-entropy, each loss at its best rate.",
        statistic=lambda rows: slower(rows, "race", UNDECIDED),
        direction="above",
        delta=math.log2(1.25),
        unit="log2 of steps",
    ),
    Claim(
        name="images-learnt-faster-when-wrong",
        sentence="And the more so where all outputs begin wrong and sure.",
        statistic=lambda rows: slower(rows, "race", WRONG) - slower(rows, "race", UNDECIDED),
        direction="above",
        delta=math.log2(1.25),
        unit="log2 of steps",
    ),
    Claim(
        name="variants-just-offset",
        sentence="Cross-entropy with and without the wrong classes' terms are just offset.",
        statistic=gap_spread,
        direction="equal",
        delta=0.1,  # of a loss that runs from 4.6 to 0
        unit="nats",
        published=0.0,
    ),
    Claim(
        name="variant-is-higher",
        sentence="The variant with the wrong classes' terms is the higher for any scores.",
        statistic=share_higher,
        direction="equal",
        target=1.0,
        delta=0.0,
        unit="share of scores",
        published=1.0,
    ),
    Claim(
        name="variants-do-not-matter",
        sentence="It does not really matter which of the two is trained with.",
        statistic=variant_gain,
        direction="equal",
        delta=0.01,  # one image in a hundred
        unit="accuracy",
        published=0.0,
    ),
    Claim(
        name="worked-example",
        sentence="With a score of 0.8 for the right label the cross-entropy is 0.09.",
        statistic=lambda rows: rows.mean("first", part="example"),
        direction="equal",
        target=0.09,
        delta=0.01,
        unit="nats",
        published=0.09,
    ),
    Claim(
        name="hinge-stops",
        sentence="Once the margins are satisfied, hinge loss no longer changes the weights.",
        statistic=lambda rows: growth(rows, HINGE, "apart"),
        direction="equal",
        delta=1e-9,
        unit="norm for each e-fold of steps",
        published=0.0,
    ),
    Claim(
        name="cross-entropy-goes-on",
        sentence="Cross-entropy goes on to do better on what is right already: its weights grow.",
        statistic=lambda rows: growth(rows, CROSS, "apart"),
        direction="above",
        delta=0.1,
        unit="norm for each e-fold of steps",
    ),
    Claim(
        name="undecided-unit-not-held-back",
        sentence="A unit that begins undecided is held back by neither loss.",
        statistic=lambda rows: held_back(rows, UNDECIDED),
        direction="equal",
        delta=0.05,
        unit="log10 of speed",
        control=True,
    ),
    Claim(
        name="rest-where-clouds-overlap",
        sentence="Where the classes overlap, cross-entropy's weights come to rest.",
        statistic=lambda rows: growth(rows, CROSS, "overlapping"),
        direction="equal",
        delta=0.01,
        unit="norm for each e-fold of steps",
        control=True,
    ),
)


def figure(rows: Rows) -> Figure:
    """A single unit as Nielsen draws it, and images by rate."""
    chart = {"hconcat": [figure_unit(rows), figure_images(rows)], "spacing": 30}
    best = 2 ** np.mean([slower(rows.where(seed=s), "race", WRONG) for s in rows.distinct("seed")])
    says = (
        f"Where all outputs begin wrong and sure, squared error takes {best:.2g} times as many "
        f"steps to {THERE:.0%} accuracy as cross-entropy, each at its best rate."
    )
    return Figure("losses", "Squared error and cross-entropy", says, chart)


def figure_unit(rows: Rows) -> Chart:
    """Its output over steps, from 0.98 down."""
    curve = rows.where(part="unit curve")
    curve = curve.where(seed=curve["seed"][0])
    return {
        "title": f"one unit, from 0.98, rate {UNIT_RATE:g}",
        "width": 245,
        "height": 220,
        "data": columns(
            loss=curve["loss"], step=curve["step"].tolist(), output=curve["output"].tolist()
        ),
        "mark": {"type": "line"},
        "encoding": {
            "x": steps(),
            "y": quantity("output", "output, to be 0", "share"),
            **figure_losses(),
            "tooltip": told(("loss", "loss"), ("step", "step"), ("output", "output")),
        },
    }


def figure_images(rows: Rows) -> Chart:
    """Steps to learn images by rate, the median of seeds."""
    listed = []
    for start in (UNDECIDED, WRONG):
        for name in (CROSS, SQUARE):
            for rate in RATES:
                found = rows.where(part="race", start=start, loss=name, rate=rate)["steps"]
                listed.append((start, name, rate, float(np.median(found))))
    begin = {"field": "start", "type": "nominal", "title": "outputs begin"}
    x = quantity("rate", "learning rate", "log")
    return {
        "title": f"images, steps to {THERE:.0%} (median of seeds)",
        "width": 245,
        "height": 220,
        "data": columns(
            start=[s for s, *_ in listed],
            loss=[name for _, name, *_ in listed],
            rate=[rate for *_, rate, _ in listed],
            steps=[count for *_, count in listed],
        ),
        "mark": {"type": "line", "point": {"size": 60, "filled": False}},
        "encoding": {
            "x": x | {"axis": {"format": "~g", "values": [0.3, 1, 3, 10]}},
            "y": quantity("steps", "steps (the most: not learnt)", axis={"format": "~s"}),
            **figure_losses(),
            "shape": begin,
            "detail": begin,
            "tooltip": told(("start", "start"), ("loss", "loss"), ("steps", "steps")),
        },
    }


def figure_losses() -> Chart:
    """A colour and a dash a loss."""
    names = [CROSS, SQUARE]
    loss = {"field": "loss", "type": "nominal", "title": None, "sort": names}
    dashes = {"domain": names, "range": [list(dash) for dash in DASHES[:2]]}
    return {"color": loss | {"scale": {"domain": names}}, "strokeDash": loss | {"scale": dashes}}


STUDY = Study(
    name="losses",
    title="Squared error stalls where sigmoids are wrong and sure, which is not where nets begin.",
    source="R. Varma, Picking Loss Functions (2018)",
    paper="M. Nielsen, Neural Networks and Deep Learning (2015), chapter 3",
    setting=(
        "The single unit from scores of 3 to 5 at eleven rates; 196-30-10 sigmoid nets on 2,000 "
        "images of MNIST, 14 x 14, plain SGD, eight rates; the stress arm begins with output "
        "biases of 4. The two cross-entropies at ten classes, over the post's range of 0.01 to "
        "0.98. The source gives no numbers but those of its worked example, which are of the "
        "decimal logarithm."
    ),
    claims=CLAIMS,
    run=run,
    figure=figure,
)
