"""A study for tests, as a person would write one into a file, and rows that were made up."""

import random

from torchdx.lab.rows import Rows
from torchdx.lab.study import Claim

FILE = '''
"""A study."""
import os, random, signal
from torchdx.lab.study import Claim, Study
from torchdx.report.charts.base import Figure, columns

def run(size, seed):
    draw = random.Random(seed)
    {trouble}
    for arm, mean in (("plain", 2.0), ("better", 1.0), ("same", 2.0)):
        for item in range(10):
            loss = mean + draw.gauss(0, 0.1)
            yield {{"arm": arm, "item": item, "loss": loss, "pid": os.getpid()}}

def gain(arm):
    return lambda rows: rows.mean("loss", arm="plain") - rows.mean("loss", arm=arm)

def figure(rows):
    data = columns(loss=rows["loss"].tolist(), arm=rows["arm"].tolist())
    by = {{"x": {{"field": "loss", "type": "quantitative"}}, "y": {{"field": "arm"}}}}
    return Figure("toy", "Toy", "Loss by arm.", {{"data": data, "mark": "point", "encoding": by}})

STUDY = Study(
    name="toy", title="What is better is better.", source="a test", run=run, figure=figure,
    claims=(
        Claim(name="better", sentence="A better arm | is better.", statistic=gain("better"),
              direction="above", delta=0.5, unit="nats", published=1.0),
        Claim(name="same", sentence="The same is the same.", statistic=gain("same"),
              direction="equal", delta=0.2, unit="nats", control=True),
    ),
)
'''


def study_file(folder, trouble="pass"):
    path = folder / "toy_study.py"
    path.write_text(FILE.format(trouble=trouble))
    return path


def gain(rows):
    return rows.mean("loss", arm="plain") - rows.mean("loss", arm="better")


def claim(**more):
    plain = {
        "name": "better",
        "sentence": "Better is better.",
        "statistic": gain,
        "direction": "above",
        "delta": 0.5,
        "unit": "nats",
    }
    return Claim(**(plain | more))


def rows(effect, *, seeds=5, items=8, noise=0.1, between=0.0, start=0):
    """Two arms, paired by item: items differ much, arms of one item by the effect alone."""
    listed = []
    for seed in range(start, start + seeds):
        draw = random.Random(seed)
        own = effect + draw.gauss(0, between)
        for item in range(items):
            hard = random.Random(item).gauss(0, 3)
            for arm, mean in (("plain", own), ("better", 0.0)):
                loss = mean + hard + draw.gauss(0, noise)
                listed.append({"seed": seed, "arm": arm, "item": item, "loss": loss})
    return Rows.of(listed)
