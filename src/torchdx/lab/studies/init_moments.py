"""How large activations are at the start: moments of one layer, and of twenty.

For w, x ~ N(0, 1) the mean of relu(w x) is E|w| E|x| / 2 = 1 / pi and its mean square 1/2. A row of
A @ x is a sum of 512 such products and, given x, normal with deviation |x|: its positive part has
the mean E|x| / sqrt(2 pi) and the mean square n / 2. The squares add up over the terms, the means
do not, which is why 9.03 is neither 512 / pi nor sqrt(512) / pi.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.lab.watching import watched
from torchdx.report.charts.base import FILL, Chart, Figure, columns, quantity
from torchdx.treatments.lsuv import lsuv

WIDTH = 512  # of the forum's matrix
DRAWS = 10_000  # of the scalar experiment
VECTORS = 100  # of the matrix experiment
REPEATS = {"quick": 10, "full": 40}  # of each experiment, and networks of each kind

UNITS, DEPTH, ROWS = 100, 20, 500  # of the network
FORUM_MEAN, FORUM_SQUARE = 9.035, 256.7

E_NORM = math.sqrt(2) * math.exp(math.lgamma((WIDTH + 1) / 2) - math.lgamma(WIDTH / 2))
MEAN = E_NORM / math.sqrt(2 * math.pi)
SQUARE = WIDTH / 2
# Root mean squares shrink by 0.01 sqrt(n / 2) a layer; the deviation is sqrt(1 - 1 / pi) of them.
VANISHED = DEPTH * math.log10(0.01 * math.sqrt(UNITS / 2)) + math.log10(1 - 1 / math.pi) / 2


def run(size: Size, seed: int) -> Iterator[Row]:
    """The two experiments of the forum, repeated; chains of matrices; networks by layer."""
    torch.manual_seed(seed)
    for repeat in range(REPEATS[size]):
        yield {"kind": "scalar", "repeat": repeat, **_moments(torch.randn(DRAWS), 1.0)}
        yield {"kind": "vector", "repeat": repeat, **_vectors()}
        yield {"kind": "chain", "repeat": repeat, "steps": _until_overflow()}
        for start in STARTS:
            for layer, told in enumerate(_layers(start), 1):
                yield {"kind": "layers", "repeat": repeat, "start": start, "layer": layer, **told}


def _moments(first: torch.Tensor, scale: float) -> Row:
    """Of relu(w x), element by element."""
    found = (torch.randn_like(first) * first).relu() * scale
    return {"mean": float(found.mean()), "square": float((found**2).mean())}


def _vectors() -> Row:
    """Of relu(A @ x), fresh A and x a hundred times, as the forum did; and scaled by He's rule."""
    outputs = [(torch.randn(WIDTH, WIDTH) @ torch.randn(WIDTH)).relu() for _ in range(VECTORS)]
    found = torch.stack(outputs).double()
    scaled = found * math.sqrt(2 / WIDTH)
    return {
        "mean": float(found.mean()),
        "square": float((found**2).mean()),
        "he_mean": float(scaled.mean()),
        "he_square": float((scaled**2).mean()),
    }


def _until_overflow() -> int:
    """The multiplication by one matrix of N(0, 1) after which the deviation is no number."""
    matrix, x = torch.randn(WIDTH, WIDTH), torch.randn(WIDTH)
    for step in range(1, 101):
        x = matrix @ x
        if torch.isnan(x.std()):
            return step
    return 100


class Normalised(nn.Module):
    """Mean 0 and deviation 1 along a dimension: 0 the rows of the batch, 1 the features."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, features), the same."""
        return (x - x.mean(self.dim, keepdim=True)) / x.std(self.dim, keepdim=True, correction=0)


def _net(deviation: float, *, norm: int | None = None, relu: bool = True) -> nn.Sequential:
    """Twenty layers without biases, weights N(0, deviation^2), in double precision."""
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        linear = nn.Linear(UNITS, UNITS, bias=False, dtype=torch.float64)
        nn.init.normal_(linear.weight, std=deviation)
        after = [nn.ReLU() if relu else nn.Identity()]
        normalised = [] if norm is None else [Normalised(norm)]
        layers.append(nn.Sequential(linear, *after, *normalised))
    return nn.Sequential(*layers)


def _lsuv() -> nn.Sequential:
    net = _net(0.01)
    lsuv(net, torch.randn(ROWS, UNITS, dtype=torch.float64))
    return net


STARTS: dict[str, Callable[[], nn.Sequential]] = {
    "0.01": lambda: _net(0.01),
    "Xavier": lambda: _net(1 / math.sqrt(UNITS)),
    "Xavier, no ReLU": lambda: _net(1 / math.sqrt(UNITS), relu=False),
    "He": lambda: _net(math.sqrt(2 / UNITS)),
    "LSUV": _lsuv,
    "0.01, normalised as posted": lambda: _net(0.01, norm=1),
    "0.01, batch norm": lambda: _net(0.01, norm=0),
}


def _layers(start: str) -> Iterator[Row]:
    """What each layer of a fresh network puts out: torchdx's instrument, and by hand in doubles.

    The instrument works in single precision and sees deviations under 1e-19 as 0.
    """
    net = STARTS[start]()
    inputs = torch.randn(ROWS, UNITS, dtype=torch.float64)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watched(net, optimizer) as seen:
        net(inputs).square().mean().backward()
        optimizer.step()
    x = inputs
    with torch.no_grad():
        for number, layer in enumerate(net):
            x = layer(x)
            relu, linear = f"{number}.1", f"{number}.0"
            yield {
                "std": float(x.std()),
                "mean_over_rows": float(x.mean(0).square().mean().sqrt()),
                "watched_std": _first(seen.record.series("activation.std", relu)),
                "watched_zeros": _first(seen.record.series("activation.zeros", relu)),
                "watched_before": _first(seen.record.series("activation.std", linear)),
            }


def _first(series: list[tuple[int, float]]) -> float:
    return float(series[0][1]) if series else math.nan


def _of(kind: str, column: str) -> Callable[[Rows], float]:
    return lambda rows: rows.mean(column, kind=kind)


def _last(start: str, column: str) -> Callable[[Rows], float]:
    return lambda rows: rows.mean(column, kind="layers", start=start, layer=DEPTH)


def _grown(start: str) -> Callable[[Rows], float]:
    """Decades by which the deviation has grown from the first layer to the last."""

    def statistic(rows: Rows) -> float:
        own = rows.where(kind="layers", start=start)
        ends = (own.where(layer=layer)["std"] for layer in (1, DEPTH))
        first, last = (np.log10(end) for end in ends)
        return float((last - first).mean())

    return statistic


def _decade_of_last(rows: Rows) -> float:
    last = rows.where(kind="layers", start="0.01", layer=DEPTH)["std"]
    return float(np.log10(last).mean())


def _forum_in_errors(rows: Rows) -> float:
    """How many standard errors of one experiment the forum's mean is away from ours."""
    means = rows.where(kind="vector")["mean"]
    return float(abs(FORUM_MEAN - means.mean()) / means.std(ddof=1))


def _vector_against_scalar(rows: Rows) -> float:
    return rows.mean("mean", kind="vector") / math.sqrt(WIDTH) / rows.mean("mean", kind="scalar")


def _blind(rows: Rows) -> float:
    column = "std"
    posted = rows.mean(column, kind="layers", start="0.01, normalised as posted", layer=DEPTH)
    return posted - rows.mean(column, kind="layers", start="0.01, batch norm", layer=DEPTH)


def _watched_against_hand(rows: Rows) -> float:
    he = rows.where(kind="layers", start="He")
    return float(np.abs(he["watched_std"] / he["std"] - 1).max())


def figure(rows: Rows) -> Figure:
    """Deviation by layer, a line a way to begin; below, those that keep it, from near."""
    own = rows.where(kind="layers")
    names = {start: start for start in STARTS if "normalised" not in start and "batch" not in start}
    names["0.01, normalised as posted"] = "0.01, normalised"
    points = [(n, x, _middle(own, start, x)) for start, n in names.items() for x in LAYERS]
    data = columns(
        start=[start for start, _, _ in points],
        layer=[layer for _, layer, _ in points],
        std=[std for _, _, std in points],
    )
    ends = {start: std for start, layer, std in points if layer == DEPTH}
    near = [start for start, std in ends.items() if std > 0.1]
    panels = [
        figure_panel(list(ends), "all", 200, {"type": "log"}),
        figure_panel(list(ends), "those that keep their scale", 130, {"domain": [0, 1.2]})
        | {"transform": [{"filter": {"field": "start", "oneOf": near}}]},
    ]
    listed = "; ".join(f"{start}: {std:.2g}" for start, std in ends.items())
    says = f"Deviation at layer {DEPTH} (geometric mean over networks): {listed}."
    chart: Chart = {"data": data, "vconcat": panels, "spacing": 14}
    return Figure("init-moments", "Activations by depth", says, chart)


def figure_panel(starts: list[str], title: str, height: int, scale: Chart) -> Chart:
    """One panel, coloured and dashed alike in all of them."""
    start: Chart = {"field": "start", "type": "nominal", "sort": starts, "title": None}
    dashes = {"domain": starts, "range": [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4]]}
    legend = {"columns": 6, "symbolType": "stroke", "symbolSize": 300}
    y = quantity("std", "standard deviation", "log" if scale.get("type") else "linear")
    return {
        "title": title,
        "width": FILL,
        "height": height,
        "mark": {"type": "line"},
        "encoding": {
            "x": {"field": "layer", "type": "quantitative", "axis": {"grid": False}}
            | {"scale": {"domain": [1, DEPTH]}, "title": "layer"},
            "y": y | {"scale": scale},
            "color": start | {"scale": {"domain": starts}, "legend": legend},
            "strokeDash": start | {"scale": dashes, "legend": legend},
        },
    }


LAYERS = range(1, DEPTH + 1)


def _middle(own: Rows, start: str, layer: int) -> float:
    return float(np.exp(np.log(own.where(start=start, layer=layer)["std"]).mean()))


STUDY = Study(
    name="init-moments",
    title="How large the activations of an untrained network are follows from first principles.",
    source="a thread of the fast.ai forum on lesson 8 of part 2 (2019) and its notebook 02b; a "
    "post on very deep networks with batch norm, in NumPy",
    paper="He et al. 2015, arXiv 1502.01852; Glorot and Bengio 2010; Mishkin and Matas 2016, "
    "arXiv 1511.06422",
    setting=f"{DRAWS:,} products, and {VECTORS} products of a {WIDTH} x {WIDTH} matrix and a "
    f"vector, as in the thread, ten times a seed; networks of {DEPTH} layers of {UNITS} units on "
    f"{ROWS} rows of N(0, 1), in double precision, as in the post. Exact values are held against "
    "the simulation; the published numbers are one draw each.",
    run=run,
    figure=figure,
    claims=(
        Claim(
            name="scalar-mean",
            sentence="The mean of relu(w x) is 1 / pi.",
            statistic=_of("scalar", "mean"),
            direction="equal",
            target=1 / math.pi,
            delta=0.005,
            unit="",
            published=0.321,
        ),
        Claim(
            name="scalar-square",
            sentence="The mean square of relu(w x) is 1/2.",
            statistic=_of("scalar", "square"),
            direction="equal",
            target=0.5,
            delta=0.015,
            unit="",
            published=0.510,
        ),
        Claim(
            name="vector-mean",
            sentence=f"The mean of relu(A @ x) for n = 512 is E|x| / sqrt(2 pi) = {MEAN:.4f}.",
            statistic=_of("vector", "mean"),
            direction="equal",
            target=MEAN,
            delta=0.06,
            unit="",
            published=FORUM_MEAN,
        ),
        Claim(
            name="vector-square",
            sentence="The mean square of relu(A @ x) for n = 512 is n / 2 = 256.",
            statistic=_of("vector", "square"),
            direction="equal",
            target=SQUARE,
            delta=3.0,
            unit="",
            published=FORUM_SQUARE,
        ),
        Claim(
            name="forum-is-noise",
            sentence="The thread's 9.035 lies within two standard errors of what it should be.",
            statistic=_forum_in_errors,
            direction="below",
            target=2.0,
            delta=0.0,
            unit="standard errors",
        ),
        Claim(
            name="terms-do-not-add",
            sentence="The mean is sqrt(n) times that of a product, as its square is n times.",
            statistic=_vector_against_scalar,
            direction="equal",
            target=1.0,
            delta=0.02,
            unit="-fold",
        ),
        Claim(
            name="sum-is-normal",
            sentence="It is sqrt(pi / 2) = 1.2533 times that: a sum is normal, a product is not.",
            statistic=_vector_against_scalar,
            direction="equal",
            target=math.sqrt(math.pi / 2),
            delta=0.02,
            unit="-fold",
        ),
        Claim(
            name="he-mean",
            sentence="With weights scaled by sqrt(2 / n) the mean is 1 / sqrt(pi).",
            statistic=_of("vector", "he_mean"),
            direction="equal",
            target=1 / math.sqrt(math.pi),
            delta=0.004,
            unit="",
            published=0.5643,
        ),
        Claim(
            name="he-square",
            sentence="With weights scaled by sqrt(2 / n) the mean square is 1.",
            statistic=_of("vector", "he_square"),
            direction="equal",
            target=1.0,
            delta=0.012,
            unit="",
        ),
        Claim(
            name="overflow",
            sentence="A chain of multiplications by an N(0, 1) matrix overflows in the 28th.",
            statistic=_of("chain", "steps"),
            direction="equal",
            target=28.0,
            delta=0.5,
            unit="multiplications",
            published=28.0,
        ),
        Claim(
            name="vanishing",
            sentence="With weights of 0.01 the deviation shrinks to about 8e-24 in 20 layers.",
            statistic=_decade_of_last,
            direction="equal",
            target=VANISHED,
            delta=0.3,
            unit="decades",
        ),
        Claim(
            name="nearly-all-zero",
            sentence="With weights of 0.01 nearly all activations of the last layer are zero.",
            statistic=_last("0.01", "watched_zeros"),
            direction="above",
            target=0.9,
            delta=0.0,
            unit="share",
        ),
        Claim(
            name="xavier-with-relu",
            sentence="Xavier's scale, made for layers without ReLU, loses sqrt(2) a layer.",
            statistic=_grown("Xavier"),
            direction="equal",
            target=-(DEPTH - 1) * math.log10(2) / 2,
            delta=0.3,
            unit="decades",
        ),
        Claim(
            name="he-keeps-scale",
            sentence="He's scale keeps the deviation over 20 layers.",
            statistic=_grown("He"),
            direction="equal",
            delta=0.3,
            unit="decades",
        ),
        Claim(
            name="lsuv-one",
            sentence="One pass of LSUV gives every layer a deviation of 1 before its ReLU.",
            statistic=_last("LSUV", "watched_before"),
            direction="equal",
            target=1.0,
            delta=0.1,
            unit="",
            published=1.0,
        ),
        Claim(
            name="posted-is-batch-norm",
            sentence="The post's normalisation (mean(axis=0) of W @ h) is batch norm: every "
            "feature has a mean of 0 over the batch.",
            statistic=_last("0.01, normalised as posted", "mean_over_rows"),
            direction="equal",
            delta=0.05,
            unit="",
        ),
        Claim(
            name="demonstration-is-blind",
            sentence="Normalising over features (layer norm, as posted) or over the batch gives "
            "the same deviation, so that the post's figure cannot tell them apart.",
            statistic=_blind,
            direction="equal",
            delta=0.01,
            unit="",
            control=True,
        ),
        Claim(
            name="no-relu-no-loss",
            sentence="Without ReLU Xavier's scale loses nothing.",
            statistic=_grown("Xavier, no ReLU"),
            direction="equal",
            delta=0.3,
            unit="decades",
            control=True,
        ),
        Claim(
            name="instrument",
            sentence="torchdx's activation.std is the deviation taken by hand.",
            statistic=_watched_against_hand,
            direction="equal",
            delta=1e-4,
            unit="relative",
            control=True,
        ),
    ),
)
