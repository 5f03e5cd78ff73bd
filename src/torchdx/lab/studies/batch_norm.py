"""Why batch norm helps: larger learning rates, by way of a calmer net at initialisation."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from torchdx.lab.data import Images, mnist
from torchdx.lab.grouped import grouped
from torchdx.lab.measured import at_first, measured
from torchdx.lab.models.resnet import Block, resnet
from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Chart, Figure, columns, quantity, told

NORMS = ("with", "without")
INITS = ("xavier", "kaiming fan-out")  # the paper's, and that of torchvision's nets
TRIED = ("xavier", "kaiming uniform", "kaiming normal", "kaiming fan-out")
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
BELOW = 0.001  # stands for a net that no rate trains
LARGE = 0.1  # at which nets without batch norm are said to diverge
AT = 0.03  # where the placebo is tried: with batch norm nets learn there
AROUND = 2  # blocks on either side of the middle one whose gradients are looked at too
STEPS = tuple(10 ** (exponent / 2) for exponent in range(-10, 2))  # 1e-5 to 3.2
BATCHES = (1, 4, 7)  # at which the loss is followed along the gradient
START = {"with": 0.1, "without": 0.0001}  # rates up to there, as in the paper
SIDE = {"quick": 8, "full": 28}
WIDTHS = {"quick": (8, 16, 32), "full": (16, 32, 64)}
TRAINED = {"quick": 32, "full": 56}  # layers
LOOKED = {"quick": 44, "full": 110}
DURATION = {"quick": 80, "full": 2_000}
BATCH = {"quick": 32, "full": 128}
HELD_OUT, ROWS = 1_000, 64
LAST = 20  # steps whose loss is averaged
CAP = 3.0  # nats: a run that diverged is given this loss
LEARNED = math.log(10) - 0.2  # nats: below it a net has learned more than how often classes come
ROUNDING = 1e-3  # of a loss: what float32 makes of the shortest steps
EDGE = 5  # layers at either end whose channels are averaged
TAILS = math.log(1.5)  # heavier tails: half as much again as a kurtosis
GROWN = 0.5  # decades: three times, beyond which nothing is nearly constant


def run(size: Size, seed: int) -> Iterator[Row]:
    """Training at several rates, then what nets are like before any."""
    images = mnist().pooled(SIDE[size]).standardised()
    test, train = images.parted(HELD_OUT, seed)
    yield from _rates(size, seed, train, test)
    few = train.take(torch.randperm(len(train), generator=_draw(seed))[: ROWS * (max(BATCHES) + 1)])
    for init in TRIED:
        for norm in (*NORMS, "placebo"):
            if norm != "placebo" or init == INITS[0]:
                yield from _beginning(size, seed, init, norm, few.take(slice(ROWS)))
    for init in INITS:
        for norm in NORMS:
            yield from _along(size, seed, init, norm, few)


def made(depth: int, widths: tuple[int, ...], norm: str, init: str, seed: int) -> nn.Sequential:
    """A residual net; nets that differ by their norms alone begin with the same weights.

    `placebo` has the layers of batch norm, but they divide by 1 and subtract 0.
    """
    net = resnet(depth, norm=norm != "without", widths=widths, inputs=1)
    torch.manual_seed(seed)
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            _DRAWN[init](part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            part.reset_parameters()
    return placebo(net) if norm == "placebo" else net


def placebo(net: nn.Sequential) -> nn.Sequential:
    """Batch norm that stays at its first running statistics."""
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train = lambda mode=True, part=part: part  # type: ignore[method-assign,misc]  # noqa: ARG005
            part.training = False
            part.momentum = 0.0
    return net


_DRAWN: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming uniform": nn.init.kaiming_uniform_,
    "kaiming normal": nn.init.kaiming_normal_,
    "kaiming fan-out": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
}


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _rates(size: Size, seed: int, train: Images, test: Images) -> Iterator[Row]:
    arms = [(init, norm, rate) for init in INITS for norm in NORMS for rate in RATES]
    for init, norm, rate in [*arms, (INITS[1], "placebo", AT)]:
        net = made(TRAINED[size], WIDTHS[size], norm, init, seed)
        loss = trained(net, rate, size, train, seed)
        accuracy = _accuracy(net, test)
        told: Row = {"init": init, "norm": norm, "rate": rate, "loss": loss, "accuracy": accuracy}
        yield {"part": "rate", **told}


def trained(net: nn.Module, rate: float, size: Size, train: Images, seed: int) -> float:
    """The mean loss of the last steps of SGD as in the paper; capped, where it diverges."""
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    steps, draw = DURATION[size], _draw(seed)
    falls = [steps // 2, steps * 3 // 4]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, falls, gamma=0.1)
    losses: list[float] = []
    net.train()
    for _ in range(steps):
        rows = torch.randint(len(train), (BATCH[size],), generator=draw)
        loss = functional.cross_entropy(net(train.pixels[rows]), train.labels[rows])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            return CAP
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return min(CAP, sum(losses[-LAST:]) / len(losses[-LAST:]))


def _accuracy(net: nn.Module, test: Images) -> float:
    net.eval()
    with torch.no_grad():
        scores = net(test.pixels).nan_to_num(nan=-math.inf)
    return float((scores.argmax(1) == test.labels).float().mean())


def _beginning(size: Size, seed: int, init: str, norm: str, few: Images) -> Iterator[Row]:
    """Gradients of the middle layer, channels of all layers, gradients of the outputs."""
    net = made(LOOKED[size], WIDTHS[size], norm, init, seed)
    record = measured(net, few.pixels, few.labels)
    arm: Row = {"init": init, "norm": norm}
    places = [place for place, part in net.named_modules() if isinstance(part, Block)]
    middle = len(places) // 2
    for block in range(middle - AROUND, middle + AROUND + 1):
        name = f"{places[block]}.first.0.weight"
        weight = net.get_parameter(name)
        gradient = weight.grad if weight.grad is not None else torch.zeros_like(weight)
        scale = at_first(record, "gradient.norm", name) / math.sqrt(weight.numel())
        found: Row = {"block": block, "scale": scale, "kurtosis": kurtosis(gradient)}
        yield {"part": "tails", **arm, **found}
    if init not in INITS:
        return
    table = np.array(record.of("output-gradients")[0].facts["rows"])
    yield {"part": "outputs", **arm, "column": column_share(table)}
    if norm == "placebo":
        return
    convolutions = [name for name, part in net.named_modules() if isinstance(part, nn.Conv2d)]
    for layer, name in enumerate(convolutions, 1):
        mean = at_first(record, "channel.mean_rms", name)
        deviation = at_first(record, "channel.std_rms", name)
        yield {"part": "channels", **arm, "layer": layer, "mean": mean, "deviation": deviation}


def kurtosis(values: torch.Tensor) -> float:
    """The fourth moment over the square of the second: 3 for a normal distribution."""
    centred = values.detach().double().flatten()
    centred = centred - centred.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def column_share(table: np.ndarray) -> float:
    """How much of all positive gradient falls on one class: 1 for a single yellow column."""
    positive = np.maximum(table, 0).sum(axis=0)
    return float(positive.max() / positive.sum())


def _along(size: Size, seed: int, init: str, norm: str, few: Images) -> Iterator[Row]:
    """How the loss of a batch changes along its own gradient, in some of the first batches."""
    net = made(LOOKED[size], WIDTHS[size], norm, init, seed)
    optimizer = torch.optim.SGD(net.parameters(), START[norm], momentum=0.9, weight_decay=5e-4)
    for batch in range(max(BATCHES) + 1):
        part = few.take(slice(ROWS * batch, ROWS * (batch + 1)))
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(part.pixels), part.labels)
        loss.backward()
        if batch in BATCHES:
            for step, after in followed(net, part):
                change = min(after / loss.item(), 1e6) if math.isfinite(after) else 1e6
                place: Row = {"init": init, "norm": norm, "batch": batch, "step": step}
                yield {"part": "along", **place, "relative": change}
        optimizer.step()


def followed(net: nn.Module, part: Images) -> Iterator[tuple[float, float]]:
    """The loss after steps of several lengths, each from where the net is."""
    moved = copy.deepcopy(net)
    pairs = list(zip(moved.parameters(), net.parameters(), strict=True))
    for step in STEPS:
        with torch.no_grad():
            for there, here in pairs:
                there.copy_(here if here.grad is None else here - step * here.grad)
            loss = float(functional.cross_entropy(moved(part.pixels), part.labels))
        yield step, loss


def best_rate(rows: Rows, init: str, norm: str) -> float:
    """The rate at which the loss ends lowest."""
    own = rows.where(part="rate", init=init, norm=norm)
    return float(own["rate"][np.argmin(own["loss"])])


def highest_rate(rows: Rows, init: str, norm: str) -> float:
    """The largest rate at which the net learns something."""
    own = rows.where(part="rate", init=init, norm=norm)
    return float(np.max(own["rate"], where=own["loss"] < LEARNED, initial=BELOW))


def larger_rates(rows: Rows, init: str) -> float:
    """Decades between the highest rates."""
    return math.log10(highest_rate(rows, init, "with") / highest_rate(rows, init, "without"))


def same_at_small(rows: Rows, init: str) -> float:
    """What batch norm adds to the accuracy at the rate that suits the net without it."""
    own = rows.where(part="rate", init=init, rate=best_rate(rows, init, "without"))
    return own.mean("accuracy", norm="with") - own.mean("accuracy", norm="without")


def larger_pays(rows: Rows, init: str) -> float:
    """What its own best rate adds to the accuracy of a net with batch norm."""
    own = rows.where(part="rate", init=init, norm="with")
    small, large = (best_rate(rows, init, norm) for norm in ("without", "with"))
    return own.mean("accuracy", rate=large) - own.mean("accuracy", rate=small)


def at_large(rows: Rows, init: str) -> float:
    """Accuracy without batch norm at the largest rate."""
    return rows.mean("accuracy", part="rate", init=init, norm="without", rate=LARGE)


def scale_ratio(rows: Rows, init: str) -> float:
    """Decades by which gradients of the middle layer are larger without batch norm."""
    with_, without = (_log_mean(rows, "scale", init, norm) for norm in NORMS)
    return (without - with_) / math.log(10)


def tails(rows: Rows, init: str, norm: str = "without", against: str = "with") -> float:
    """By how much the tails are heavier, as a logarithm of the kurtosis."""
    return _log_mean(rows, "kurtosis", init, norm) - _log_mean(rows, "kurtosis", init, against)


def _log_mean(rows: Rows, column: str, init: str, norm: str) -> float:
    return float(np.log(rows.where(part="tails", init=init, norm=norm)[column]).mean())


def lightest_tails(rows: Rows) -> float:
    """The same for the initialisation for which it is least."""
    return min(tails(rows, init) for init in TRIED)


def spread_of_scales(rows: Rows) -> float:
    """Decades between the largest and the smallest gradients without batch norm."""
    own = rows.where(part="tails", norm="without")
    scales = [_log_mean(own, "scale", init, "without") for init in own.distinct("init")]
    return (max(scales) - min(scales)) / math.log(10)


def reach(rows: Rows, init: str, norm: str) -> float:
    """The longest step, in decades, up to which the loss falls; the mean over batches."""
    own = rows.where(part="along", init=init, norm=norm)
    return float(np.mean([_fall(own.where(batch=batch)) for batch in own.distinct("batch")]))


def _fall(rows: Rows) -> float:
    rises = np.flatnonzero(rows["relative"] > 1 + ROUNDING)
    steps = np.log10(rows["step"])
    return float(steps[max(rises[0] - 1, 0)] if len(rises) else steps[-1])


def reach_further(rows: Rows, init: str) -> float:
    """Decades by which the loss falls further with batch norm."""
    return reach(rows, init, "with") - reach(rows, init, "without")


def growth(rows: Rows, init: str, norm: str, what: str) -> float:
    """Decades by which channels of the last layers exceed those of the first."""
    values = np.log10(rows.where(part="channels", init=init, norm=norm)[what])
    return float(values[-EDGE:].mean() - values[:EDGE].mean())


def one_class(rows: Rows, init: str) -> float:
    """By how much more the gradient of the outputs falls on one class without batch norm."""
    own = rows.where(part="outputs", init=init)
    return own.mean("column", norm="without") - own.mean("column", norm="with")


def placebo_gain(rows: Rows) -> float:
    """What layers that do not normalise add to the accuracy at a larger rate."""
    own = rows.where(part="rate", init=INITS[1], rate=AT)
    return own.mean("accuracy", norm="placebo") - own.mean("accuracy", norm="without")


def placebo_tails(rows: Rows) -> float:
    """What layers that do not normalise do to the tails."""
    return tails(rows, INITS[0], "placebo", "without")


def _of_training(init: str, end: str) -> tuple[Claim, ...]:
    """What is claimed of training, from these weights; published: 0.1 against 0.0001."""
    return (
        Claim(
            name=f"larger-rates-{end}",
            sentence=f"Batch norm allows much larger learning rates ({init}).",
            statistic=partial(larger_rates, init=init),
            direction="above",
            delta=0.49,  # more than a step of the grid
            unit="decades",
            published=3.0,
        ),
        Claim(
            name=f"same-at-small-rates-{end}",
            sentence=f"At the other's best rate, batch norm does about as well ({init}).",
            statistic=partial(same_at_small, init=init),
            direction="equal",
            delta=0.05,  # about what lines differ by in the source's figure
            unit="share of images",
        ),
        Claim(
            name=f"larger-rate-pays-{end}",
            sentence=f"With batch norm, the larger rate ends at a higher accuracy ({init}).",
            statistic=partial(larger_pays, init=init),
            direction="above",
            delta=0.02,  # twenty of a thousand images
            unit="share of images",
        ),
        Claim(
            name=f"diverges-without-{end}",
            sentence=f"Without batch norm, training diverges at a rate of 0.1 ({init}).",
            statistic=partial(at_large, init=init),
            direction="equal",
            target=0.1,  # chance
            delta=0.05,
            unit="share of images",
        ),
    )


def _of_beginning(init: str, end: str) -> tuple[Claim, ...]:
    """What is claimed of a net that was not trained yet, or hardly, from these weights."""
    return (
        Claim(
            name=f"larger-gradients-{end}",
            sentence=f"Gradients are consistently larger without batch norm ({init}).",
            statistic=partial(scale_ratio, init=init),
            direction="above",
            delta=0.3,  # twice as large
            unit="decades",
        ),
        Claim(
            name=f"heavier-tails-{end}",
            sentence=f"Gradients have heavier tails without batch norm ({init}).",
            statistic=partial(tails, init=init),
            direction="above",
            delta=TAILS,
            unit="log of kurtosis",
        ),
        Claim(
            name=f"longer-steps-{end}",
            sentence=f"With batch norm the loss falls for much longer steps ({init}).",
            statistic=partial(reach_further, init=init),
            direction="above",
            delta=0.5,  # three times as long
            unit="decades",
        ),
        Claim(
            name=f"deviations-grow-{end}",
            sentence=f"Without batch norm, deviations of channels grow with depth ({init}).",
            statistic=partial(growth, init=init, norm="without", what="deviation"),
            direction="above",
            delta=GROWN,
            unit="decades",
        ),
        Claim(
            name=f"means-grow-{end}",
            sentence=f"Without batch norm, means of channels grow with depth ({init}).",
            statistic=partial(growth, init=init, norm="without", what="mean"),
            direction="above",
            delta=GROWN,
            unit="decades",
        ),
        Claim(
            name=f"deviations-constant-{end}",
            sentence=f"With batch norm, deviations of channels hardly change with depth ({init}).",
            statistic=partial(growth, init=init, norm="with", what="deviation"),
            direction="equal",
            delta=GROWN,
            unit="decades",
        ),
        Claim(
            name=f"one-class-{end}",
            sentence=f"Without batch norm, outputs' gradients fall on one class ({init}).",
            statistic=partial(one_class, init=init),
            direction="above",
            delta=0.2,  # two classes' worth
            unit="share of gradient",
        ),
    )


def figure(rows: Rows) -> Figure:
    """Four of the paper's figures, a line an initialisation and norm."""
    loss = figure_lines(rows.where(part="rate"), "rate", "loss", "learning rate", "training loss")
    depth = figure_lines(
        rows.where(part="channels"), "layer", "deviation", "layer", "deviation of channels", "log"
    )
    along = figure_lines(rows.where(part="along"), "step", "relative", "step", "relative loss")
    along["encoding"]["y"]["scale"] = {"domain": [0.3, 3], "clamp": True, "type": "log"}
    depth["encoding"]["x"]["scale"] = {"type": "linear", "zero": False}
    depth["encoding"]["x"]["axis"]["format"] = "d"
    chart = {"vconcat": [{"hconcat": [loss, along]}, {"hconcat": [depth, figure_tails(rows)]}]}
    gains = [f"{np.mean([larger_rates(p, i) for p in figure_seeds(rows)]):.1f}" for i in INITS]
    ends = [
        np.mean([growth(part, INITS[1], norm, "deviation") for part in figure_seeds(rows)])
        for norm in NORMS
    ]
    says = (
        f"The highest rate that trains is {gains[0]} decades larger with batch norm from Xavier's "
        f"weights, {gains[1]} from Kaiming's; channels grow by {ends[1]:.1f} decades with depth "
        f"without it, by {ends[0]:.1f} with it."
    )
    return Figure("batch-norm", "What batch norm changes", says, chart)


def figure_seeds(rows: Rows) -> list[Rows]:
    """The rows of each seed."""
    return [rows.where(seed=seed) for seed in rows.distinct("seed")]


def figure_lines(  # noqa: PLR0913, PLR0917  # two axes
    rows: Rows, x: str, y: str, across: str, up: str, scale: str = "linear"
) -> Chart:
    """Medians over seeds."""
    found = [
        row
        for row in grouped(rows, ["init", "norm", x], y)
        if row["norm"] in NORMS and row["init"] in INITS
    ]
    data = {name: [row[name] for row in found] for name in ("init", "norm", x, y)}
    return {
        "data": columns(**data),
        "width": 250,
        "height": 150,
        "mark": {"type": "line", "clip": True},
        "encoding": {
            "x": quantity(x, across, "log"),
            "y": quantity(y, up, scale),
            "color": {"field": "norm", "type": "nominal", "title": "batch norm", "sort": NORMS},
            "strokeDash": {"field": "init", "type": "nominal", "title": None, "sort": INITS},
            "tooltip": told(("init", "weights"), ("norm", "batch norm"), (x, across), (y, up)),
        },
    }


def figure_tails(rows: Rows) -> Chart:
    """Kurtosis of the gradients of the middle layer, by initialisation."""
    each = grouped(rows.where(part="tails"), ["init", "norm"], "kurtosis")
    found = [row for row in each if row["norm"] in NORMS]
    data = {n: [row[n] for row in found] for n in ("init", "norm", "kurtosis", "low", "high")}
    y = {"field": "init", "type": "nominal", "title": None, "sort": TRIED}
    title = "kurtosis of the middle gradient"
    whole = {"x": quantity("low", title, axis={"format": "d"}), "x2": {"field": "high"}}
    colour = {"field": "norm", "type": "nominal", "title": "batch norm", "sort": NORMS}
    x = quantity("kurtosis", title, axis={"format": "d"})
    return {
        "data": columns(**data),
        "width": 250,
        "height": 150,
        "encoding": {"y": y, "color": colour},
        "layer": [
            {
                "mark": "rule",
                "encoding": whole,
            },
            {"mark": {"type": "point", "filled": True, "size": 50}, "encoding": {"x": x}},
        ],
    }


STUDY = Study(
    name="batch-norm",
    title="Batch norm allows larger learning rates, since nets are calmer from the start.",
    source="Understanding Batch Normalization, ecntu.com, 2024",
    paper="Bjorck et al. 2018, Understanding batch normalization, arXiv 1806.02375",
    setting=(
        "MNIST (4,000 images of 8 x 8) instead of CIFAR-10; residual nets of 32 layers for 80 "
        "steps of 32 images (figure 1) and of 44 layers at the start (the others) instead of 110; "
        "SGD with momentum 0.9 and decay 0.0005, rates a tenth at a half and three quarters. "
        "Gradients of the middle layer are those of five blocks. Steps along the gradient leave "
        "momentum out. Each claim is asked twice: from Xavier's weights, as in the paper, and from "
        "Kaiming's with fan-out, which the post had to turn to."
    ),
    amended=(
        "With seeds 0 and 1 in view: the five rates, so that the best one lies inside of the grid; "
        "what counts as grown (three times); and the rate and the place of the placebo, as from "
        "Xavier's weights neither net learned and its control could not fail."
    ),
    claims=(
        *_of_training(INITS[0], "xavier"),
        *_of_training(INITS[1], "kaiming"),
        *_of_beginning(INITS[0], "xavier"),
        *_of_beginning(INITS[1], "kaiming"),
        Claim(
            name="smaller-gradients-xavier",
            sentence="From Xavier's weights, gradients without batch norm are much smaller.",
            statistic=lambda rows: scale_ratio(rows, INITS[0]),
            direction="below",
            delta=0.3,
            unit="decades",
        ),
        Claim(
            name="tails-whatever-the-weights",
            sentence="Tails are heavier without batch norm whatever the initialisation.",
            statistic=lightest_tails,
            direction="above",
            delta=TAILS,
            unit="log of kurtosis",
        ),
        Claim(
            name="scale-by-weights",
            sentence="The scale of gradients without batch norm depends on the initialisation.",
            statistic=spread_of_scales,
            direction="above",
            delta=0.5,
            unit="decades",
        ),
        Claim(
            name="placebo-does-not-train",
            sentence="Layers of batch norm that do not normalise allow no larger rate (kaiming).",
            statistic=placebo_gain,
            direction="equal",
            delta=0.05,
            unit="share of images",
            control=True,
        ),
        Claim(
            name="placebo-tails",
            sentence="Layers of batch norm that do not normalise leave the tails as they are.",
            statistic=placebo_tails,
            direction="equal",
            delta=0.1,
            unit="log of kurtosis",
            control=True,
        ),
    ),
    run=run,
    figure=figure,
)
