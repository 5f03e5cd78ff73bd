"""What softmax makes of images that show none of its classes, or two, and what sigmoids make."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from torchdx.lab.data import Images, mnist
from torchdx.lab.models.mlp import mlp
from torchdx.lab.rows import Column, Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import Figure, columns, quantity, told
from torchdx.report.charts.theme import DASHES

KNOWN = 6  # the digits 0 to 5 are the classes
STRANGE = (6, 7)  # none of the classes, shown in training where an arm learns what none looks like
UNSEEN = (8, 9)  # none of the classes either, never shown in training
SIDE = 14  # of a digit; an image is two of them wide
HALF = 0.5  # a class is said to be there above this
STEPS = {"quick": 500, "full": 2000}
TRAINED = {"quick": 2500, "full": 3500}  # digits; the others are judged on
JUDGED = {"quick": 250, "full": 500}  # images of each kind, other ones for each seed
BATCH = 64
SHEET = (0.022, -2.488, -1.751, 2.070, 1.250)  # scores of the lesson's first image
OFFSET = 1.443  # by which those of its second image are lower


@dataclass(frozen=True)
class Arm:
    """A way to train and to read the scores.

    kinds    what is shown in training
    none     whether there is an output for none of the classes
    softmax  whether scores are taken to be shares of one
    """

    kinds: tuple[str, ...]
    softmax: bool
    none: bool = False


ONE, TWO, OTHER, NEW = "one", "two", "other", "new"
SHOWN = {ONE: range(KNOWN), TWO: range(KNOWN), OTHER: STRANGE, NEW: UNSEEN}
ARMS = {
    "softmax": Arm((ONE,), softmax=True),
    "sigmoids": Arm((ONE,), softmax=False),
    "softmax, none class": Arm((ONE, OTHER), softmax=True, none=True),
    "sigmoids, shown none": Arm((ONE, OTHER), softmax=False),
    "softmax, shown two": Arm((ONE, TWO), softmax=True),
    "sigmoids, shown two": Arm((ONE, TWO), softmax=False),
}


def run(size: Size, seed: int) -> Iterator[Row]:
    """Each arm on the same digits and the same initial weights, then asked about each kind."""
    yield from _offset(seed)
    digits = mnist().pooled(SIDE)
    learned, others = digits.parted(TRAINED[size], seed)
    draw = torch.Generator().manual_seed(seed)
    judged = {kind: drawn(others, kind, JUDGED[size], draw) for kind in (ONE, TWO, OTHER, NEW)}
    for name, arm in ARMS.items():
        net = trained(arm, learned, STEPS[size], seed)
        for kind in (TWO,) if TWO in arm.kinds else (ONE, OTHER, NEW):
            images, truth = judged[kind]
            with torch.no_grad():
                answers = read(arm, net(images))[:, :KNOWN]
            yield from _told(name, kind, answers, truth)


def _offset(seed: int) -> Iterator[Row]:
    """Scores and the same less a constant: the lesson's and, by the seed, any."""
    draw = torch.Generator().manual_seed(seed)
    sheet = torch.tensor(SHEET, dtype=torch.float64)
    any_ = torch.randn(1000, 5, generator=draw, dtype=torch.float64) * 3
    by = torch.rand(1000, 1, generator=draw, dtype=torch.float64) * 10
    for scores, offset in ((sheet[None], torch.tensor([[OFFSET]])), (any_, by)):
        for function, of in (("softmax", lambda z: z.softmax(1)), ("sigmoids", torch.sigmoid)):
            change = (of(scores) - of(scores - offset)).abs()
            kind = "sheet" if len(scores) == 1 else "random"
            yield {"kind": kind, "arm": function, "change": float(change.max(1).values.mean())}


def drawn(
    digits: Images, kind: str, rows: int, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of a kind, two digits wide and flat, and which classes are in each (rows, classes)."""
    wanted = torch.tensor([*SHOWN[kind]])
    several = torch.rand(rows, len(wanted), generator=draw).argsort(1)
    shown = wanted[several[:, : 2 if kind == TWO else 1]]
    places = _any_of(digits.labels, shown, draw)
    canvas, truth = torch.zeros(rows, 2, SIDE, SIDE), torch.zeros(rows, KNOWN)
    first = torch.randint(2, (rows,), generator=draw)
    each = torch.arange(rows)
    for number in range(shown.shape[1]):
        canvas[each, (first + number) % 2] = digits.pixels[places[:, number], 0]
        if kind in {ONE, TWO}:
            truth[each, shown[:, number]] = 1
    return canvas.transpose(1, 2).flatten(1), truth


def _any_of(labels: torch.Tensor, shown: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Where a digit of each of these labels is, any of them."""
    order, counts = labels.argsort(stable=True), labels.bincount(minlength=10)
    begins = counts.cumsum(0) - counts
    within = (torch.rand(shown.shape, generator=draw) * counts[shown]).long()
    return order[begins[shown] + within]


def trained(arm: Arm, digits: Images, steps: int, seed: int) -> nn.Module:
    """A net of one hidden layer; batches are drawn anew from the digits, kinds in equal parts."""
    torch.manual_seed(seed)
    net = mlp([2 * SIDE * SIDE, 100, KNOWN + arm.none])
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    draw = torch.Generator().manual_seed(1000 + seed)
    for _ in range(steps):
        parts = [drawn(digits, kind, BATCH // len(arm.kinds), draw) for kind in arm.kinds]
        images = torch.cat([part for part, _ in parts])
        truth = torch.cat([part for _, part in parts])
        optimizer.zero_grad()
        loss_of(arm, net(images), truth).backward()
        optimizer.step()
    return net


def loss_of(arm: Arm, scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy: of shares of one, or of each class by itself."""
    if not arm.softmax:
        each = functional.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        return each.sum(1).mean()
    if arm.none:
        truth = torch.cat([truth, (truth.sum(1, keepdim=True) == 0).float()], dim=1)
    return functional.cross_entropy(scores, truth / truth.sum(1, keepdim=True))


def read(arm: Arm, scores: torch.Tensor) -> torch.Tensor:
    """Probabilities."""
    return scores.softmax(1) if arm.softmax else scores.sigmoid()


def _told(arm: str, kind: str, answers: torch.Tensor, truth: torch.Tensor) -> Iterator[Row]:
    """A row an image: how sure, whether right, and how much was said to be there."""
    surest, guess = answers.max(1)
    said = answers > HALF
    right = truth.gather(1, guess[:, None])[:, 0]
    for number in range(len(answers)):
        yield {
            "kind": kind,
            "arm": arm,
            "surest": float(surest[number]),
            "right": float(right[number]),
            "said": int(said[number].sum()),
            "hits": int((said[number] & (truth[number] == 1)).sum()),
            "there": int(truth[number].sum()),
        }


def told_apart(rows: Rows, arm: str, kind: str) -> float:
    """How well the surest answer parts images of one class from those of a kind (AUROC)."""
    of = rows.where(arm=arm)
    return auroc(of.where(kind=ONE)["surest"], of.where(kind=kind)["surest"])


def auroc(upper: Column, lower: Column) -> float:
    """The share of pairs of which the one that should be higher is; ties count half."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, upper, side="left")
    up_to = np.searchsorted(ordered, upper, side="right")
    return float((below + up_to).mean() / 2 / len(ordered))


def share_sure(rows: Rows, arm: str, kind: str = NEW) -> float:
    """Of images in which some class is said to be there."""
    return float((rows.where(arm=arm, kind=kind)["said"] > 0).mean())


def f1(rows: Rows, arm: str, kind: str = TWO) -> float:
    """Of all that is said to be there in images of a kind (micro-averaged)."""
    of = rows.where(arm=arm, kind=kind)
    return 2 * float(of["hits"].sum()) / max(1.0, float(of["said"].sum() + of["there"].sum()))


def share_both(rows: Rows, arm: str) -> float:
    """Of images of two classes in which both are said to be there."""
    return float((rows.where(arm=arm, kind=TWO)["hits"] == 2).mean())


def change(rows: Rows, arm: str, kind: str = "random") -> float:
    """The largest change of an answer when all scores fall by a constant."""
    return rows.mean("change", arm=arm, kind=kind)


def new_apart(rows: Rows, better: str, worse: str) -> float:
    """By how much one arm tells digits that nobody showed it apart better than another."""
    return told_apart(rows, better, NEW) - told_apart(rows, worse, NEW)


def _halves(rows: Rows) -> float:
    """By how much sigmoids part known images from other known images better than softmax."""
    return _half_apart(rows, "sigmoids") - _half_apart(rows, "softmax")


def _half_apart(rows: Rows, arm: str) -> float:
    surest = rows.where(arm=arm, kind=ONE)["surest"]
    return auroc(surest[::2], surest[1::2])


CLAIMS = (
    Claim(
        name="offset-vanishes",
        sentence="Scores that differ by a constant give the same softmax.",
        statistic=lambda rows: change(rows, "softmax"),
        direction="equal",
        delta=1e-12,  # rounding in float64
        unit="probability",
        published=0.0,
    ),
    Claim(
        name="offset-shows-in-sigmoids",
        sentence="The spreadsheet's two images, alike to softmax, differ to a sigmoid a class.",
        statistic=lambda rows: change(rows, "sigmoids", "sheet"),
        direction="above",
        delta=0.1,
        unit="probability",
        published=0.325,  # 0.777 against 0.452, the largest of five
    ),
    Claim(
        name="softmax-sure-of-none",
        sentence="Shown none of its classes, softmax names one all the same, more often than a "
        "classifier for each class does.",
        statistic=lambda rows: share_sure(rows, "softmax") - share_sure(rows, "sigmoids"),
        direction="above",
        delta=0.1,  # one image in ten
        unit="share of images",
    ),
    Claim(
        name="sigmoids-know-none",
        sentence="How sure a classifier for each class is tells images of none of the classes "
        "better than how sure softmax is.",
        statistic=lambda rows: new_apart(rows, "sigmoids", "softmax"),
        direction="above",
        delta=0.03,  # less than that is within what another initialisation does
        unit="AUROC",
    ),
    Claim(
        name="none-class-is-wrong",
        sentence="A class for none of the above is the wrong way: what is in none of the classes "
        "is hard to learn, so a classifier for each class knows it better.",
        statistic=lambda rows: new_apart(rows, "sigmoids", "softmax, none class"),
        direction="above",
        delta=0.03,
        unit="AUROC",
    ),
    Claim(
        name="none-class-works",
        sentence="With a class for none of the above softmax's assumption holds again, and it "
        "knows such images better than without.",
        statistic=lambda rows: new_apart(rows, "softmax, none class", "softmax"),
        direction="above",
        delta=0.03,
        unit="AUROC",
    ),
    Claim(
        name="none-class-matches-sigmoids",
        sentence="Where both are shown images of none, the extra class does as well as a "
        "classifier for each class.",
        statistic=lambda rows: new_apart(rows, "sigmoids, shown none", "softmax, none class"),
        direction="equal",
        delta=0.03,
        unit="AUROC",
    ),
    Claim(
        name="two-cannot-both-win",
        sentence="Softmax cannot give two classes of one image more than a half each.",
        statistic=lambda rows: share_both(rows, "softmax, shown two"),
        direction="equal",
        delta=0.0,
        unit="share of images",
        published=0.0,
    ),
    Claim(
        name="sigmoids-for-several",
        sentence="Where images hold several classes, a binary classifier for each is better.",
        statistic=lambda rows: f1(rows, "sigmoids, shown two") - f1(rows, "softmax, shown two"),
        direction="above",
        delta=0.05,
        unit="F1",
    ),
    Claim(
        name="alike-where-it-holds",
        sentence="Where each image holds exactly one class, softmax is as good as sigmoids.",
        statistic=lambda rows: (
            rows.mean("right", arm="sigmoids", kind=ONE)
            - rows.mean("right", arm="softmax", kind=ONE)
        ),
        direction="equal",
        delta=0.02,  # two images in a hundred
        unit="accuracy",
        control=True,
    ),
    Claim(
        name="known-from-known",
        sentence="Neither can tell images of the classes from other images of the classes.",
        statistic=_halves,
        direction="equal",
        delta=0.05,
        unit="AUROC",
        control=True,
    ),
)


def figure(rows: Rows) -> Figure:
    """How sure each arm is of images of one class, and of none."""
    arms = list(ARMS)[:4]
    kinds = {
        ONE: "one class in it",
        OTHER: "none, of a kind shown to two",
        NEW: "none, of a kind never shown",
    }
    grid = np.linspace(0, 1, 41)
    listed = [
        (arm, title, upper, float((rows.where(arm=arm, kind=kind)["surest"] <= upper).mean()))
        for arm in arms
        for kind, title in kinds.items()
        for upper in grid.tolist()
    ]
    data = columns(
        arm=[a for a, *_ in listed],
        kind=[k for _, k, *_ in listed],
        surest=[upper for *_, upper, _ in listed],
        share=[share for *_, share in listed],
    )
    titles = [*kinds.values()]
    kind = {"field": "kind", "type": "nominal", "title": None, "sort": titles}
    dashes = {"domain": titles, "range": [list(dash) for dash in DASHES[: len(titles)]]}
    chart = {
        "data": data,
        "facet": {"field": "arm", "type": "nominal", "title": None, "sort": arms},
        "columns": 2,
        "spec": {
            "width": 280,
            "height": 150,
            "mark": {"type": "line"},
            "encoding": {
                "x": quantity("surest", "surest answer", "share"),
                "y": quantity("share", "images that are no surer", "share"),
                "color": kind | {"scale": {"domain": titles}},
                "strokeDash": kind | {"scale": dashes},
                "tooltip": told(("kind", "image"), ("surest", "answer"), ("share", "images")),
            },
        },
    }
    says = (
        f"Of images of none of the classes softmax names one in {share_sure(rows, 'softmax'):.0%}, "
        f"sigmoids in {share_sure(rows, 'sigmoids'):.0%}, and with a class for none "
        f"{share_sure(rows, 'softmax, none class'):.0%}."
    )
    return Figure("softmax-assumption", "How sure, by what is in the image", says, chart)


STUDY = Study(
    name="softmax-assumption",
    title="Softmax takes each image to hold exactly one of its classes, and answers accordingly.",
    source="fast.ai forum, lesson 9 (2019), on lesson 10's spreadsheet of softmax and sigmoids",
    paper="fast.ai, Deep Learning from the Foundations (2019), lesson 10, entropy_example.xlsx",
    setting=(
        "MNIST digits 0 to 5 as classes, one or two side by side in an image of 14 x 28; none of "
        "the classes are 6 and 7, which two arms are shown in training, and 8 and 9, which none "
        "is. One hidden layer of 100, Adam. The source argues from a spreadsheet and asks for "
        "experiments; it has no numbers of trained nets. A pair of outputs a class, its other "
        "proposal, is the same function as a sigmoid a class, and not run."
    ),
    claims=CLAIMS,
    run=run,
    figure=figure,
    seeds={"quick": 10, "full": 20},  # a tenth of the AUROC is the initialisation's
)
