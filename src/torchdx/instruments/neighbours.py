"""Whether labels go with their inputs: do a row's nearest neighbours have its label?

`neighbours` events, one a labelled table of `instruments/batches.py`:

agreement   share of the `NEAREST` neighbours (Euclidean, columns at unit deviation) that have a
            row's label; for numbers, the correlation of a row's value with its neighbours' mean
chance      the same with labels dealt out anew, mean over `DEALS`; deviation over these
shifted     the best agreement when labels are moved by up to `SHIFTS` places, and by how many
alone       `{column, score, next, base}`: the one column that tells the label best (share of rows
            right from its bins, on rows not binned with; for numbers the rank correlation), the
            second best, and what the commonest label would get
told        `{columns, count, of, next}`: columns that the label determines: constant within each
            class, or, for numbers, rising (or falling) with the label without exception; of how
            many varied ones, and the `score` of the best column that is none of them
order       how far apart the labels of disagreeing neighbours are as numbers, over those of any two
            rows that disagree: about 1 for classes, much less for levels of a quantity
suspect     share of rows none of whose neighbours has their label although these agree otherwise
sure        share of rows of whose `VOTERS` nearest more than half have one label
stray       of these rows, how much of the labels looks dealt out at random: for every two classes,
            the rows of the second where the first is voted, over those that such a deal would put
            there; the median, so that classes that are alike count little. None below 3 classes
closest     median distance to the nearest row over that between any two: small where rows form
            groups, near one where they are strewn about in many dimensions
rows        rows compared
"""

from typing import Any

import torch
from torch.nn import functional

from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.instruments.batches import Batches
from torchdx.instruments.tensors import unseen

NEAREST = 5
VOTERS = 10
DEALS = 20
SHIFTS = 3
BINS = 16
COMPARED = 1_000  # rows at most: a square of distances
LEAST = 60  # rows below which nothing is said
COMMONEST = 0.9  # share of one value beyond which a column may go with the labels by chance
_GROWN = 1.5
_SEED = 20_261_121


class Neighbours(Quiet):
    """Compares labels with neighbourhoods, on the rows that are kept anyway."""

    def __init__(self, recorder: Recorder, batches: Batches) -> None:
        self._recorder, self._batches = recorder, batches
        self._told: dict[int, int] = {}

    def flush(self) -> None:
        """Write down what has changed since the last time."""
        for table in [*self._batches.learned_tables(), *self._batches.judged_tables()]:
            labels = table.answers()
            known = self._told.get(id(table), 0)
            if labels is None or table.kept < max(LEAST, _GROWN * known):
                continue
            if not table.dtype.startswith(("float", "bfloat")) and table.dtype != "uint8":
                continue
            self._told[id(table)] = table.kept
            with unseen():
                facts = _compare(table.matrix()[:COMPARED], labels[:COMPARED])
            if facts:
                known_as = {"role": table.role, "model": table.path, "set": table.number}
                line = table.line or 0
                self._recorder.event("neighbours", line=line, **known_as, loss=table.kind, **facts)


def _compare(rows: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    rows, labels = _without_repeats(torch.nan_to_num(rows), labels)
    if labels.dim() != 1 or len(rows) < LEAST or len(torch.unique(labels)) < 2:  # noqa: PLR2004
        return {}
    scaled = rows - rows.mean(0)
    deviation = scaled.std(0, correction=0)
    scaled = scaled[:, deviation > 0] / deviation[deviation > 0]
    if not scaled.shape[1]:
        return {}
    distance = torch.cdist(scaled, scaled).fill_diagonal_(torch.inf)
    near, voters = distance.topk(VOTERS, largest=False)
    nearest = voters[:, :NEAREST]
    numbers = labels.is_floating_point() and len(torch.unique(labels)) > BINS
    score = _correlation if numbers else _agreement
    generator = torch.Generator().manual_seed(_SEED)
    deals = [torch.randperm(len(labels), generator=generator) for _ in range(DEALS)]
    dealt = torch.tensor([score(labels[deal], nearest) for deal in deals])
    moved = {s: score(labels.roll(s), nearest) for s in range(-SHIFTS, SHIFTS + 1) if s}
    best = max(moved, key=lambda s: moved[s])
    return {
        "rows": len(rows),
        "numbers": numbers,
        "agreement": score(labels, nearest),
        "chance": float(dealt.mean()),
        "deviation": float(dealt.std()),
        "shift": best,
        "shifted": moved[best],
        "order": _order(labels, nearest),
        "suspect": 0.0 if numbers else _suspect(labels, nearest),
        "alone": _alone(scaled, labels, numbers=numbers),
        "told": _told(rows, labels, numbers=numbers),
        **({} if numbers else _vote(labels, voters)),
        "closest": float(near[:, 0].median() / distance.median()),
    }


def _without_repeats(rows: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same rows come again each epoch: each once, its first label with it."""
    seen: dict[bytes, int] = {}
    for index, row in enumerate(map(bytes, rows.numpy())):
        seen.setdefault(row, index)
    kept = torch.tensor(list(seen.values()))
    return rows[kept], labels[kept]


def _agreement(labels: torch.Tensor, nearest: torch.Tensor) -> float:
    return float((labels[nearest] == labels[:, None]).double().mean())


def _correlation(labels: torch.Tensor, nearest: torch.Tensor) -> float:
    near = labels.double()[nearest].mean(1)
    pair = torch.stack([labels.double(), near])
    return float(torch.nan_to_num(torch.corrcoef(pair)[0, 1]))


def _order(labels: torch.Tensor, nearest: torch.Tensor) -> float | None:
    """Distances between labels that disagree: of neighbours over those of rows at random."""
    values = labels.double()
    near = (values[nearest] - values[:, None]).abs()
    generator = torch.Generator().manual_seed(_SEED)
    other = values[torch.randint(len(values), nearest.shape, generator=generator)]
    anyone = (other - values[:, None]).abs()
    if not bool((near > 0).any()) or not bool((anyone > 0).any()):
        return None
    return float(near[near > 0].mean() / anyone[anyone > 0].mean())


def _suspect(labels: torch.Tensor, nearest: torch.Tensor) -> float:
    """Rows that stand alone among neighbours of one other label."""
    near = labels[nearest]
    unanimous = (near == near[:, :1]).all(1)
    return float((unanimous & (near[:, 0] != labels)).double().mean())


def _vote(labels: torch.Tensor, voters: torch.Tensor) -> dict[str, float | None]:
    """How many rows have neighbours that agree, and which share of their labels strays."""
    codes = torch.unique(labels, return_inverse=True)[1]
    classes = int(codes.max()) + 1
    most, voted = functional.one_hot(codes[voters], classes).sum(1).max(1)
    sure = most > VOTERS / 2
    found = torch.zeros(classes, classes, dtype=torch.float64)
    ones = torch.ones(int(sure.sum()), dtype=torch.float64)
    found.index_put_((voted[sure], codes[sure]), ones, accumulate=True)
    dealt = found.sum(1, keepdim=True) * torch.bincount(codes) / len(codes)
    other = ~torch.eye(classes, dtype=torch.bool) & (dealt > 0)
    told = classes >= 3 and bool(other.any())  # noqa: PLR2004  # of two, each is the other's like
    stray = _weighted_median((found / dealt)[other], dealt[other]) if told else None
    return {"sure": float(sure.double().mean()), "stray": stray}


def _weighted_median(values: torch.Tensor, weights: torch.Tensor) -> float:
    order = values.argsort()
    heard = weights[order].cumsum(0)
    return float(values[order][int((heard < heard[-1] / 2).sum())])


def _told(rows: torch.Tensor, labels: torch.Tensor, *, numbers: bool) -> dict[str, Any]:
    """The columns that are functions of the label, and the best score among the others."""
    varied = (rows != rows[0]).any(0)
    determined = varied & _determined(rows, labels, numbers=numbers)
    for column in determined.nonzero().flatten().tolist():
        values = torch.unique(rows[:, column], return_counts=True)[1]
        determined[column] = int(values.max()) <= COMMONEST * len(rows)
    others = rows[:, varied & ~determined]
    best = 0.0
    if bool(determined.any()) and others.shape[1]:
        best = float(_scores(others, labels, numbers=numbers).max())
    columns = determined.nonzero().flatten().tolist()
    count, of = len(columns), int(varied.sum())
    return {"columns": columns[:8], "count": count, "of": of, "next": best}


def _determined(rows: torch.Tensor, labels: torch.Tensor, *, numbers: bool) -> torch.Tensor:
    """Which columns have one value in each class; for numbers, which never turn as these rise."""
    codes = torch.unique(labels, return_inverse=True)[1]
    places = codes[:, None].expand_as(rows)
    empty = rows.new_empty(int(codes.max()) + 1, rows.shape[1])
    least = empty.scatter_reduce(0, places, rows, "amin", include_self=False)
    most = empty.scatter_reduce(0, places, rows, "amax", include_self=False)
    if not numbers:
        return (least == most).all(0)
    return (least[1:] >= most[:-1]).all(0) | (most[1:] <= least[:-1]).all(0)


def _alone(rows: torch.Tensor, labels: torch.Tensor, *, numbers: bool) -> dict[str, Any]:
    scores = _scores(rows, labels, numbers=numbers)
    counts = torch.unique(labels, return_counts=True)[1]
    base = 0.0 if numbers else float(counts.max()) / len(labels)
    order = scores.argsort(descending=True)
    second = float(scores[order[1]]) if len(order) > 1 else 0.0
    best = int(order[0])
    return {"column": best, "score": float(scores[best]), "next": second, "base": base}


def _scores(rows: torch.Tensor, labels: torch.Tensor, *, numbers: bool) -> torch.Tensor:
    """How well each column tells the label by itself, (columns,)."""
    if numbers:
        ranks = rows.argsort(0).argsort(0).double()
        wanted = labels.argsort().argsort().double()
        both = torch.cat([wanted[:, None], ranks], 1).T
        return torch.nan_to_num(torch.corrcoef(both)[0, 1:]).abs()
    codes = torch.unique(labels, return_inverse=True)[1]
    return torch.stack([_binned(column, codes) for column in rows.T.contiguous()])


def _binned(column: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """The share of odd rows whose label the bins of even rows tell from one column."""
    edges = torch.unique(torch.quantile(column, torch.linspace(0, 1, BINS + 1)[1:-1]))
    bins = torch.bucketize(column, edges)
    counts = torch.zeros(BINS, int(codes.max()) + 1)
    counts.index_put_((bins[::2], codes[::2]), torch.ones(len(bins[::2])), accumulate=True)
    return (counts.argmax(1)[bins[1::2]] == codes[1::2]).float().mean()
