"""A summed loss against a mean one: where they are the same, and where that ends.

With plain SGD a sum over B rows at the rate r / B takes the steps of a mean at the rate r, to the
last bit where B is a power of two. Whatever looks at the size of gradients, or acts beside them,
parts the two: clipping, weight decay, and a last batch of fewer rows; Adam divides the size out, so
that there the same rate fits both. And with the rate left alone, a sum steps B times as far.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from torchdx.lab.data import digits
from torchdx.lab.models.mlp import mlp
from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.lab.watching import watched
from torchdx.report.charts.base import FILL, Chart, Figure, columns, quantity

TRAINED = 1_500  # images
STEPS = {"quick": 100, "full": 1_000}
BATCHES = (16, 256)  # rows, where stability is compared
POWERS = [half / 2 for half in range(-26, 7)]  # of two: the learning rates
WORST = math.log(10)  # nats that a loss counts for at most: those of ten equal guesses
POSTED_LR, POSTED_ROWS = 0.1, 128

Optimizer = torch.optim.Optimizer
Batches = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Case:
    """Two trainings that differ in the reduction alone.

    divided  whether the rate of the sum is that of the mean divided by the rows of a batch
    """

    rows: int
    make: Callable[[list[nn.Parameter], float], Optimizer]
    lr: float
    divided: bool = True
    clip: float = math.inf
    ragged: bool = False


def _sgd(momentum: float = 0.0, decay: float = 0.0) -> Callable[..., Optimizer]:
    return lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=momentum, weight_decay=decay)


def _adam(parameters: list[nn.Parameter], lr: float) -> Optimizer:
    return torch.optim.Adam(parameters, lr=lr)


CASES = {
    "SGD": Case(64, _sgd(), 0.1),
    "SGD, momentum": Case(64, _sgd(momentum=0.9), 0.05),
    "SGD, 48 rows": Case(48, _sgd(), 0.1),
    "Adam, same rate": Case(64, _adam, 0.003, divided=False),
    "Adam, rate divided": Case(64, _adam, 0.003),
    "clipped at 1": Case(64, _sgd(), 0.1, clip=1.0),
    "weight decay": Case(64, _sgd(decay=0.01), 0.1),
    "ragged last batch": Case(64, _sgd(), 0.1, ragged=True),
    "one row": Case(1, _sgd(), 0.01, divided=False),
}


def run(size: Size, seed: int) -> Iterator[Row]:
    """Pairs that may be equal, rates that may be stable, and what torchdx says of the case."""
    steps = STEPS[size]
    task = _Task(seed)
    for name, case in CASES.items():
        yield {"kind": "equal", "case": name, **task.apart(case, steps)}
    for rows in BATCHES:
        batches = task.batches(rows, steps)
        for reduction in ("sum", "mean"):
            for power in POWERS:
                net, _ = task.trained(batches, reduction, _sgd(), 2.0**power)
                told = {"reduction": reduction, "rows": rows, "lr": 2.0**power}
                yield {"kind": "rate", **told, "loss": task.loss(net), "before": task.before}
    for reduction in ("sum", "mean"):
        yield {"kind": "posted", "reduction": reduction, **task.posted(reduction, steps)}


class _Task:
    """Digits, and one set of first weights."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        train, _ = digits().parted(TRAINED, seed)
        self.inputs, self.labels = train.flat, train.labels
        self.first = mlp([64, 32, 10])
        self.draw = torch.Generator().manual_seed(seed)
        self.before = self.loss(self.first)

    def net(self) -> nn.Sequential:
        """The same first weights each time."""
        net = mlp([64, 32, 10])
        net.load_state_dict(self.first.state_dict())
        return net

    def batches(self, rows: int, steps: int, *, ragged: bool = False) -> list[torch.Tensor]:
        """Places of rows, epoch after epoch; with `ragged` the rest of an epoch, too."""
        found: list[torch.Tensor] = []
        while len(found) < steps:
            order = torch.randperm(TRAINED, generator=self.draw)
            found += [b for b in order.split(rows) if ragged or len(b) == rows]
        return found[:steps]

    def trained(
        self,
        batches: Batches,
        reduction: str,
        make: Callable[..., Optimizer],
        lr: float,
        clip: float = math.inf,
    ) -> tuple[nn.Sequential, Optimizer]:
        """A net trained on these batches, from the first weights."""
        net = self.net()
        optimizer = make(list(net.parameters()), lr)
        for places in batches:
            self._step(net, optimizer, places, reduction, clip)
        return net, optimizer

    def _step(
        self,
        net: nn.Sequential,
        optimizer: Optimizer,
        places: torch.Tensor,
        reduction: str,
        clip: float = math.inf,
    ) -> None:
        optimizer.zero_grad()
        scores, labels = net(self.inputs[places]), self.labels[places]
        functional.cross_entropy(scores, labels, reduction=reduction).backward()
        if math.isfinite(clip):
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()

    def apart(self, case: Case, steps: int) -> Row:
        """How far the weights of the two end from each other."""
        batches = self.batches(case.rows, steps, ragged=case.ragged)
        lr = case.lr / case.rows if case.divided else case.lr
        mean, _ = self.trained(batches, "mean", case.make, case.lr, case.clip)
        summed, _ = self.trained(batches, "sum", case.make, lr, case.clip)
        ends = [nn.utils.parameters_to_vector(n.parameters()).detach() for n in (mean, summed)]
        began = nn.utils.parameters_to_vector(self.first.parameters()).detach()
        apart = ends[1] - ends[0]
        return {
            "largest": float(apart.abs().max()),
            "relative": float(apart.norm() / (ends[0] - began).norm()),
        }

    def loss(self, net: nn.Sequential) -> float:
        """Per row over all that is trained on; what is worse than guessing counts as guessing."""
        with torch.no_grad():
            found = float(functional.cross_entropy(net(self.inputs), self.labels))
        return min(found, WORST) if math.isfinite(found) else WORST

    def posted(self, reduction: str, steps: int) -> Row:
        """The case as it was met: 128 rows, the rate of a mean; what torchdx saw and said."""
        net = self.net()
        optimizer = torch.optim.SGD(net.parameters(), lr=POSTED_LR)
        self.draw.manual_seed(0)
        with watched(net, optimizer) as seen:
            for places in self.batches(POSTED_ROWS, steps):
                self._step(net, optimizer, places, reduction)
        first = seen.record.series("gradient.norm", "2.weight")[0][1]
        named = any(finding.code == "L09" for finding in seen.findings)
        return {"loss": self.loss(net), "gradient": float(first), "named": float(named)}


def _apart(case: str, column: str = "relative") -> Callable[[Rows], float]:
    return lambda rows: rows.mean(column, kind="equal", case=case)


def _stable(rows: Rows, reduction: str, batch: int) -> float:
    """The largest rate, as a power of two, up to which every rate makes the loss smaller."""
    own = rows.where(kind="rate", reduction=reduction, rows=batch)
    order = np.argsort(own["lr"])
    better = (own["loss"] < own["before"] - 0.05)[order]
    begins = int(better.argmax())  # slower rates than this have not got anywhere yet
    ends = begins + int(np.append(~better[begins:], True).argmax()) - 1
    return float(np.log2(own["lr"][order][ends]))


def _shrinks(reduction: str) -> Callable[[Rows], float]:
    few, many = BATCHES
    return lambda rows: _stable(rows, reduction, few) - _stable(rows, reduction, many)


def _posted(rows: Rows, column: str, reduction: str) -> float:
    return rows.mean(column, kind="posted", reduction=reduction)


def _worse(rows: Rows) -> float:
    return _posted(rows, "loss", "sum") - _posted(rows, "loss", "mean")


def _gradients(rows: Rows) -> float:
    return _posted(rows, "gradient", "sum") / _posted(rows, "gradient", "mean")


def figure(rows: Rows) -> Figure:
    """Loss against learning rate, a line a reduction and batch."""
    own = rows.where(kind="rate")
    arms = [(r, b) for r in ("mean", "sum") for b in BATCHES]
    names = [f"{reduction}, {batch} rows" for reduction, batch in arms]
    points = [
        (name, lr, own.mean("loss", reduction=r, rows=b, lr=lr))
        for name, (r, b) in zip(names, arms, strict=True)
        for lr in sorted(own.distinct("lr"))
    ]
    arm: Chart = {"field": "arm", "type": "nominal", "sort": names, "title": None}
    dashes = {"domain": names, "range": [[1, 0], [5, 3], [1, 0], [5, 3]]}
    colours = {"domain": names, "range": ["#0072b2", "#0072b2", "#d55e00", "#d55e00"]}
    rate = quantity("lr", "learning rate", "log")
    chart: Chart = {
        "data": columns(
            arm=[n for n, *_ in points],
            lr=[lr for _, lr, _ in points],
            loss=[loss for *_, loss in points],
        ),
        "width": FILL,
        "height": 220,
        "mark": {"type": "line", "point": {"size": 22}},
        "encoding": {
            "x": rate | {"axis": {"format": "~g", "tickCount": 6, "grid": False}},
            "y": quantity("loss", "loss a row, at the end"),
            "color": arm | {"scale": colours, "legend": {"symbolType": "stroke"}},
            "strokeDash": arm | {"scale": dashes},
        },
    }
    parts = [rows.where(seed=seed) for seed in rows.distinct("seed")]
    limits = {
        name: 2 ** float(np.mean([_stable(part, r, b) for part in parts]))
        for name, (r, b) in zip(names, arms, strict=True)
    }
    says = "Largest stable rate: " + "; ".join(f"{n}: {v:.2g}" for n, v in limits.items()) + "."
    return Figure("loss-reduction", "Loss by learning rate", says, chart)


STUDY = Study(
    name="loss-reduction",
    title="A summed loss is a mean one at another rate, for plain SGD and for little else.",
    source="a physicist's notes on loss reduction: a net that would not learn, traced to "
    '`reduction="sum"`',
    paper="Goyal et al. 2017, arXiv 1706.02677 (on rates and batch sizes); Kingma and Ba 2015, "
    "arXiv 1412.6980 (Adam does not see the loss's scale)",
    setting=f"A net of 64-32-10 units on {TRAINED:,} of scikit-learn's digits; both of a pair have "
    "the same first weights and the same batches. The claims are laws of the optimizers, which the "
    "source argues in words; there is no published number.",
    amended="With seed 0 in view: the grid of rates goes in half powers of two, as whole ones were "
    "too coarse for a difference of one doubling.",
    run=run,
    figure=figure,
    claims=(
        Claim(
            name="sgd-to-the-bit",
            sentence="SGD on a sum over 64 rows at rate / 64 gives the very weights of the mean.",
            statistic=_apart("SGD", "largest"),
            direction="equal",
            delta=0.0,
            unit="",
            published=0.0,
        ),
        Claim(
            name="momentum-to-the-bit",
            sentence="So does SGD with momentum.",
            statistic=_apart("SGD, momentum", "largest"),
            direction="equal",
            delta=0.0,
            unit="",
        ),
        Claim(
            name="rounding",
            sentence="With 48 rows, no power of two, they are equal up to rounding.",
            statistic=_apart("SGD, 48 rows"),
            direction="equal",
            delta=1e-4,
            unit="of the way trained",
        ),
        Claim(
            name="adam-does-not-see-it",
            sentence="Adam takes the same steps on a sum as on a mean, at the same rate.",
            statistic=_apart("Adam, same rate"),
            direction="equal",
            delta=0.05,
            unit="of the way trained",
        ),
        Claim(
            name="adam-divided",
            sentence="Dividing Adam's rate by the rows, right for SGD, makes another training.",
            statistic=_apart("Adam, rate divided"),
            direction="above",
            delta=0.5,
            unit="of the way trained",
        ),
        Claim(
            name="clipping-parts-them",
            sentence="Clipping by norm parts sum and mean.",
            statistic=_apart("clipped at 1"),
            direction="above",
            delta=0.05,
            unit="of the way trained",
        ),
        Claim(
            name="decay-parts-them",
            sentence="Weight decay of 0.01 parts sum and mean.",
            statistic=_apart("weight decay"),
            direction="above",
            delta=0.05,
            unit="of the way trained",
        ),
        Claim(
            name="ragged-parts-them",
            sentence="A last batch of fewer rows parts sum and mean.",
            statistic=_apart("ragged last batch"),
            direction="above",
            delta=0.005,
            unit="of the way trained",
        ),
        Claim(
            name="stability-of-sum",
            sentence="Summed, a batch of 256 bears a 16 times smaller rate than a batch of 16.",
            statistic=_shrinks("sum"),
            direction="equal",
            target=4.0,
            delta=1.0,
            unit="doublings",
        ),
        Claim(
            name="stability-of-mean",
            sentence="Averaged, both bear about the same rate.",
            statistic=_shrinks("mean"),
            direction="equal",
            delta=1.0,
            unit="doublings",
        ),
        Claim(
            name="posted-case",
            sentence="At a rate of 0.1 and 128 rows the sum does not learn what the mean learns.",
            statistic=_worse,
            direction="above",
            delta=0.5,
            unit="nats",
        ),
        Claim(
            name="gradient-grows",
            sentence="The gradient of a sum over 128 rows is 128 times that of the mean.",
            statistic=_gradients,
            direction="equal",
            target=128.0,
            delta=0.1,
            unit="-fold",
        ),
        Claim(
            name="torchdx-names-it",
            sentence="torchdx names L09 summed-loss in the summed run.",
            statistic=lambda rows: _posted(rows, "named", "sum"),
            direction="equal",
            target=1.0,
            delta=0.0,
            unit="share of runs",
        ),
        Claim(
            name="torchdx-is-silent",
            sentence="torchdx does not name L09 in the averaged run.",
            statistic=lambda rows: _posted(rows, "named", "mean"),
            direction="equal",
            delta=0.0,
            unit="share of runs",
            control=True,
        ),
        Claim(
            name="one-row",
            sentence="With one row a batch, sum and mean are the same to the bit.",
            statistic=_apart("one row", "largest"),
            direction="equal",
            delta=0.0,
            unit="",
            control=True,
        ),
    ),
)
