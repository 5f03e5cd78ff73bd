"""Plain nets get worse with depth, nets with shortcuts do not."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from torchdx.lab.data import Images, mnist
from torchdx.lab.grouped import grouped
from torchdx.lab.measured import at_first, measured
from torchdx.lab.models.resnet import Shortcut, resnet
from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Chart, Figure, columns, quantity, told

DEPTHS = {"quick": (8, 20, 56), "full": (20, 32, 44, 56)}
SHALLOW, DEEP = 20, 56  # which claims compare
OPTIONS: tuple[Shortcut, ...] = ("A", "B", "C")
SIDE = {"quick": 8, "full": 28}
WIDTHS = {"quick": (8, 16, 32), "full": (16, 32, 64)}
DURATION = {"quick": 150, "full": 4_000}
BATCH = {"quick": 32, "full": 128}
RATE = {"quick": 0.05, "full": 0.1}
HELD_OUT, JUDGED, ROWS = 1_000, 1_000, 64
CAP = 5.0  # nats: running statistics of a net that learns nothing can be far off
SHAPED = ("plain", "A")
_Arm = tuple[str, int, Shortcut]


def run(size: Size, seed: int) -> Iterator[Row]:
    """Each net from the start of its own, all on the same batches."""
    images = mnist().pooled(SIDE[size]).standardised()
    test, train = images.parted(HELD_OUT, seed)
    shuffled = Images(
        train.name, train.pixels, train.labels[torch.randperm(len(train), generator=_draw(seed))]
    )
    for labels, depth, shortcut in _arms(size):
        torch.manual_seed(seed)
        net = resnet(depth, shortcut=shortcut, widths=WIDTHS[size], inputs=1)
        arm: Row = {"labels": labels, "depth": depth, "shortcut": shortcut}
        rows = train if labels == "true" else shuffled
        looked = labels == "true" and shortcut in SHAPED and depth in {SHALLOW, DEEP}
        if looked:
            yield from _responses(net, rows, {**arm, "when": "start"})
        _train(net, size, rows, seed)
        yield {"part": "trained", **arm, **_ends(net, rows, test)}
        if looked:
            yield from _responses(net, rows, {**arm, "when": "end"})


def _arms(size: Size) -> list[_Arm]:
    by_depth: list[_Arm] = [
        ("true", depth, shortcut) for depth in DEPTHS[size] for shortcut in ("plain", "A")
    ]
    options: list[_Arm] = [("true", SHALLOW, shortcut) for shortcut in ("B", "C")]
    null: list[_Arm] = [
        ("shuffled", depth, shortcut) for depth in (SHALLOW, DEEP) for shortcut in ("plain", "A")
    ]
    return by_depth + options + null


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _train(net: nn.Module, size: Size, train: Images, seed: int) -> None:
    """SGD as in the paper: a tenth of the rate at a half and at three quarters."""
    optimizer = torch.optim.SGD(net.parameters(), RATE[size], momentum=0.9, weight_decay=1e-4)
    steps, draw = DURATION[size], _draw(seed)
    falls = [steps // 2, steps * 3 // 4]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, falls, gamma=0.1)
    net.train()
    for _ in range(steps):
        rows = torch.randint(len(train), (BATCH[size],), generator=draw)
        optimizer.zero_grad()
        functional.cross_entropy(net(train.pixels[rows]), train.labels[rows]).backward()
        optimizer.step()
        schedule.step()


def _ends(net: nn.Module, train: Images, test: Images) -> Row:
    """Loss on rows trained on, by statistics of the batch and by the running ones; test error."""
    judged = train.take(slice(JUDGED))
    with torch.no_grad():
        net.eval()
        evaluated = float(
            functional.cross_entropy(net(judged.pixels), judged.labels).clamp(max=CAP)
        )
        error = float((net(test.pixels).argmax(1) != test.labels).float().mean())
        net.train()
        loss = float(functional.cross_entropy(net(judged.pixels), judged.labels))
    return {"loss": loss, "evaluated": evaluated, "error": error}


def _responses(net: nn.Module, train: Images, told: Row) -> Iterator[Row]:
    """Deviations of what batch norm puts out before it is added to or cut, layer by layer."""
    net.train()
    few = train.take(slice(ROWS))
    record = measured(net, few.pixels, few.labels)
    places = [
        place
        for place, part in net.named_modules()
        if isinstance(part, nn.BatchNorm2d) and "projection" not in place
    ]
    for layer, place in enumerate(places, 1):
        response = at_first(record, "activation.std", place)
        back = at_first(record, "output_gradient.rms", place)
        found: Row = {"layer": layer, "height": layer / len(places), "response": response}
        yield {"part": "layer", **told, **found, "gradient": back}


def deepening(rows: Rows, shortcut: str, labels: str = "true", column: str = "loss") -> float:
    """What depth does to a kind of net: deep less shallow."""
    own = rows.where(part="trained", labels=labels, shortcut=shortcut)
    return own.mean(column, depth=DEEP) - own.mean(column, depth=SHALLOW)


def degradation(rows: Rows, labels: str = "true", column: str = "loss") -> float:
    """By how much more depth harms plain nets than residual ones."""
    return deepening(rows, "plain", labels, column) - deepening(rows, "A", labels, column)


def better(rows: Rows, one: str, other: str) -> float:
    """By how much one shortcut's test error is below another's."""
    own = rows.where(part="trained", labels="true", depth=SHALLOW)
    return own.mean("error", shortcut=other) - own.mean("error", shortcut=one)


def worst_option(rows: Rows) -> float:
    """By how much even the worst shortcut's loss is below that of none."""
    own = rows.where(part="trained", labels="true", depth=SHALLOW)
    return own.mean("loss", shortcut="plain") - max(own.mean("loss", shortcut=o) for o in OPTIONS)


def response(rows: Rows, shortcut: str, depth: int, when: str = "end") -> float:
    """The mean deviation of responses over layers."""
    return rows.mean("response", part="layer", shortcut=shortcut, depth=depth, when=when)


def smaller_responses(rows: Rows, when: str = "end") -> float:
    """By how much responses of deep residual nets are smaller than those of plain ones."""
    return response(rows, "plain", DEEP, when) - response(rows, "A", DEEP, when)


def smaller_when_deep(rows: Rows) -> float:
    """By how much responses of deep residual nets are smaller than those of shallow ones."""
    return response(rows, "A", SHALLOW) - response(rows, "A", DEEP)


def gradient_fall(rows: Rows) -> float:
    """Decades between the gradients at the first and last layers of a deep plain net."""
    own = rows.where(part="layer", shortcut="plain", depth=DEEP, when="start")
    return float(np.log10(own["gradient"][0] / own["gradient"][-1]))


def figure(rows: Rows) -> Figure:
    """Loss by depth, and responses by layer."""
    means = {
        (shortcut, depth): rows.mean(
            "loss", part="trained", labels="true", shortcut=shortcut, depth=depth
        )
        for shortcut in SHAPED
        for depth in (SHALLOW, DEEP)
    }
    says = (
        f"Training loss goes from {means['plain', SHALLOW]:.2f} with {SHALLOW} layers to "
        f"{means['plain', DEEP]:.2f} with {DEEP} in plain nets, and from "
        f"{means['A', SHALLOW]:.2f} to {means['A', DEEP]:.2f} with shortcuts."
    )
    own = {"scale": {"strokeDash": "independent"}}
    chart = {"hconcat": [figure_depth(rows), figure_layers(rows)], "resolve": own}
    return Figure("residual", "Depth with and without shortcuts", says, chart)


def figure_depth(rows: Rows) -> Chart:
    """Training loss, a line a shortcut; thin: labels that were shuffled."""
    found = grouped(rows.where(part="trained"), ["shortcut", "labels", "depth"], "loss")
    names = ("shortcut", "labels", "depth", "loss", "low", "high")
    shared = {"color": figure_colour()}
    x = quantity("depth", "layers", axis={"format": "d"})
    dash = {"field": "labels", "type": "nominal", "title": "labels", "sort": ["true", "shuffled"]}
    tooltip = told(("shortcut", "shortcut"), ("depth", "layers"), ("loss", "training loss"))
    line = {"x": x, "y": quantity("loss", "training loss"), "strokeDash": dash, "tooltip": tooltip}
    reach = {"x": x, "y": quantity("low", "training loss"), "y2": {"field": "high"}}
    return {
        "data": columns(**{name: [row[name] for row in found] for name in names}),
        "width": 250,
        "height": 200,
        "encoding": shared,
        "layer": [
            {"mark": {"type": "rule", "opacity": 0.5}, "encoding": reach},
            {"mark": {"type": "line", "point": {"size": 30}}, "encoding": line},
        ],
    }


def figure_layers(rows: Rows) -> Chart:
    """Deviation of responses after training, a line a net."""
    own = rows.where(part="layer", when="end")
    found = grouped(own, ["shortcut", "depth", "layer", "height"], "response")
    names = ("shortcut", "depth", "layer", "height", "response")
    tooltip = told(("shortcut", "shortcut"), ("layer", "layer"), ("response", "deviation"))
    return {
        "data": columns(**{name: [row[name] for row in found] for name in names}),
        "width": 250,
        "height": 200,
        "mark": {"type": "line"},
        "encoding": {
            "color": figure_colour(),
            "x": quantity("height", "layer, as a share of the depth"),
            "y": quantity("response", "deviation of responses", axis={"format": "~g"})
            | {"scale": {"type": "log", "nice": False}},
            "strokeDash": {"field": "depth", "type": "nominal", "title": "layers"},
            "tooltip": tooltip,
        },
    }


def figure_colour() -> Chart:
    """Of each kind of net, the same in both charts."""
    return {
        "field": "shortcut",
        "type": "nominal",
        "title": "shortcut",
        "scale": {"domain": ["plain", *OPTIONS]},
    }


_BY_DEPTH = (
    Claim(
        name="plain-nets-degrade",
        sentence="A deeper plain net has a higher training error.",
        statistic=partial(deepening, shortcut="plain"),
        direction="above",
        delta=0.2,  # a tenth of what there is to lose (log 10 nats)
        unit="nats",
    ),
    Claim(
        name="residual-nets-do-not",
        sentence="With shortcuts, depth does not raise the training error.",
        statistic=partial(deepening, shortcut="A"),
        direction="equal",
        delta=0.2,
        unit="nats",
    ),
    Claim(
        name="shortcuts-cure-it",
        sentence="Shortcuts take the degradation away.",
        statistic=degradation,
        direction="above",
        delta=0.2,
        unit="nats",
    ),
    Claim(
        name="cured-in-evaluation",
        sentence="They do so too where running statistics are used.",
        statistic=partial(degradation, column="evaluated"),
        direction="above",
        delta=0.2,
        unit="nats",
    ),
    Claim(
        name="depth-helps-residual-nets",
        sentence="A deeper residual net has a lower test error.",
        statistic=partial(deepening, shortcut="A", column="error"),
        direction="below",
        delta=0.005,  # five of a thousand images
        unit="share of images",
        published=-0.0178,  # 20 to 56 layers on CIFAR-10
    ),
    Claim(
        name="gradients-are-healthy",
        sentence="Gradients of a deep plain net have healthy norms, thanks to batch norm.",
        statistic=gradient_fall,
        direction="equal",
        delta=1.0,  # ten times: what rates of layers may differ by
        unit="decades",
    ),
)
_BY_OPTION = (
    Claim(
        name="every-shortcut-helps",
        sentence="All three kinds of shortcut are considerably better than none.",
        statistic=worst_option,
        direction="above",
        delta=0.05,
        unit="nats",
    ),
    Claim(
        name="b-beats-a",
        sentence="Projections where the width changes (B) are slightly better than zeros (A).",
        statistic=partial(better, one="B", other="A"),
        direction="above",
        delta=0.001,
        unit="share of images",
        published=0.0051,  # 34 layers on ImageNet
    ),
    Claim(
        name="c-beats-b",
        sentence="Projections everywhere (C) are slightly better than B.",
        statistic=partial(better, one="C", other="B"),
        direction="above",
        delta=0.001,
        unit="share of images",
        published=0.0033,
    ),
)
_BY_LAYER = (
    Claim(
        name="responses-are-smaller",
        sentence="Residual nets have smaller responses than plain ones.",
        statistic=smaller_responses,
        direction="above",
        delta=0.02,  # of a deviation that begins at 1
        unit="standard deviation",
    ),
    Claim(
        name="responses-shrink-with-depth",
        sentence="A deeper residual net has smaller responses.",
        statistic=smaller_when_deep,
        direction="above",
        delta=0.02,
        unit="standard deviation",
    ),
)
_CONTROLS = (
    Claim(
        name="shuffled-labels",
        sentence="Where there is nothing to learn, depth harms neither kind.",
        statistic=partial(degradation, labels="shuffled"),
        direction="equal",
        delta=0.1,
        unit="nats",
        control=True,
    ),
    Claim(
        name="responses-at-the-start",
        sentence="Before training, batch norm makes the responses of both kinds the same.",
        statistic=partial(smaller_responses, when="start"),
        direction="equal",
        delta=0.01,
        unit="standard deviation",
        control=True,
    ),
)

STUDY = Study(
    name="residual",
    title="Plain nets get worse with depth, nets with shortcuts do not.",
    source="notes on ResNets, rohanvarma.me, 2019",
    paper="He et al. 2016, Deep residual learning for image recognition, arXiv 1512.03385",
    setting=(
        "MNIST (4,000 images of 8 x 8) instead of CIFAR-10, nets of 8, 16 and 32 channels instead "
        "of 16, 32 and 64, 150 steps of 32 images instead of 64,000 of 128, so that what takes "
        "long to learn is not seen. Batch norm everywhere, as there. Shortcuts B and C were "
        "compared on ImageNet, here with 20 layers."
    ),
    claims=_BY_DEPTH + _BY_OPTION + _BY_LAYER + _CONTROLS,
    run=run,
    figure=figure,
)
