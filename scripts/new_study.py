"""Begins a study: `python scripts/new_study.py my-finding` writes its file and its test.

What it writes can be run at once (`torchdx lab run my-finding`) and is to be replaced line by line;
docs/lab.md says how.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STUDIES = Path("src") / "torchdx" / "lab" / "studies"
TESTS = Path("tests") / "lab" / "studies"

STUDY = '''"""WHAT WAS FOUND, in a sentence; and why it should be so, in a few more."""

from collections.abc import Iterator

import torch

from torchdx.lab.rows import Row, Rows
from torchdx.lab.study import Claim, Size, Study
from torchdx.report.charts.base import FILL, Figure, columns, quantity

REPEATS = {{"quick": 20, "full": 200}}


def run(size: Size, seed: int) -> Iterator[Row]:
    """The rows of one seed: all arms, from the same first weights, on the same batches."""
    draw = torch.Generator().manual_seed(seed)
    for item in range(REPEATS[size]):
        for arm, effect in (("plain", 0.0), ("treated", 1.0), ("placebo", 0.0)):
            loss = 2.0 - effect + 0.3 * float(torch.randn((), generator=draw))
            yield {{"arm": arm, "item": item, "loss": loss}}


def _gain(rows: Rows, arm: str) -> float:
    return rows.mean("loss", arm="plain") - rows.mean("loss", arm=arm)


def figure(rows: Rows) -> Figure:
    """A dot a run; by arm."""
    chart = {{
        "data": columns(arm=rows["arm"].tolist(), loss=rows["loss"].tolist()),
        "width": FILL,
        "height": 120,
        "mark": {{"type": "tick"}},
        "encoding": {{
            "x": quantity("loss", "loss"),
            "y": {{"field": "arm", "type": "nominal", "title": None}},
        }},
    }}
    means = ", ".join(f"{{arm}} {{rows.mean('loss', arm=arm):.3g}}" for arm in rows.distinct("arm"))
    return Figure("{name}", "Loss by arm", f"Mean loss: {{means}}.", chart)


STUDY = Study(
    name="{name}",
    title="WHAT WAS FOUND, in a sentence.",
    source="WHO FOUND IT, where",
    paper="",
    setting="HOW it is run here, and what differs from the source.",
    run=run,
    figure=figure,
    claims=(
        Claim(
            name="treated",
            sentence="The treatment makes the loss smaller.",
            statistic=lambda rows: _gain(rows, "treated"),
            direction="above",
            delta=0.2,
            unit="nats",
            published=None,
            items="item",
        ),
        Claim(
            name="placebo",
            sentence="A placebo does nothing.",
            statistic=lambda rows: _gain(rows, "placebo"),
            direction="equal",
            delta=0.2,
            unit="nats",
            items="item",
            control=True,
        ),
    ),
)
'''

TEST = """import pytest

from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge
from torchdx.lab.studies.{module} import STUDY

CLAIMS = {{claim.name: claim for claim in STUDY.claims}}


def made_up(treated, placebo=0.0):
    return Rows.of(
        {{"seed": seed, "item": item, "arm": arm, "loss": 2.0 - effect * (1 + 0.1 * seed)}}
        for seed in range(5)
        for item in range(6)
        for arm, effect in (("plain", 0.0), ("treated", treated), ("placebo", placebo))
    )


@pytest.mark.parametrize(
    ("effect", "word"), [(1.0, "reproduced"), (0.0, "not reproduced"), (0.19, "inconclusive")]
)
def test_the_claim_is_judged_by_what_the_treatment_gains(effect, word):
    assert judge(CLAIMS["treated"], made_up(effect)).word == word


def test_the_control_is_null_only_where_the_placebo_does_nothing():
    assert judge(CLAIMS["placebo"], made_up(1.0)).word == "reproduced"
    assert judge(CLAIMS["placebo"], made_up(1.0, placebo=1.0)).word == "not reproduced"


def test_a_seed_yields_what_the_claims_and_the_figure_need():
    rows = Rows.of({{"seed": 0, **row}} for row in STUDY.run("quick", 0))
    assert all(isinstance(claim.statistic(rows), float) for claim in STUDY.claims)
    assert STUDY.figure(rows).says
"""


def begin(name: str, root: Path = ROOT) -> list[Path]:
    """Write the study and its test.

    Raises:
        SystemExit: the name is none, or one of the files is there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        sys.exit(f"{name!r} is no name for a study: use kebab-case, like output-bias.")
    module = name.replace("-", "_")
    study, test = root / STUDIES / f"{module}.py", root / TESTS / f"test_{module}.py"
    for path in (study, test):
        if path.exists():
            sys.exit(f"there is {path} already.")
    for path, text in ((study, STUDY), (test, TEST)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name, module=module), encoding="utf-8")
    return [study, test]


def main() -> None:
    """Begin the study that the argument names."""
    if len(sys.argv) != 2:  # noqa: PLR2004  # the script and a name
        sys.exit("usage: python scripts/new_study.py NAME")
    for path in begin(sys.argv[1]):
        print(f"wrote {path}")
    print(f"next: torchdx lab run {sys.argv[1]}")


if __name__ == "__main__":
    main()
