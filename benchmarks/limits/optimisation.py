"""Prints how far steps went in recorded runs: the study behind the limits of the rules O01 to O17.

    python faults/scoreboard.py --records DIR
    python benchmarks/limits/optimisation.py DIR [--by first|top|fall|swing|way|left|decay|eps|cut]

One line a run, greatest first. `way` is steps times the median share of the weights that one
changes; `left` the size of the weights at the end over that at first.
"""

import argparse
from pathlib import Path
from statistics import median

from torchdx.errors import RecordError
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.rules.optimisation.strides import FIRST, Course, busiest, shares, sharpness

COLUMNS = ("first", "top", "fall", "swing", "total", "way", "left", "decay", "eps", "cut", "sharp")


def measured(record: Record) -> dict[str, float]:
    """The quantities of one run; empty where no optimizer stepped."""
    optimizer, course = busiest(record), Course(record)
    if optimizer is None:
        return {}
    steps = shares(record, optimizer)
    sizes = [look.weight_norm for look in record.looks_of(optimizer.id) if look.weight_norm]
    number = str(optimizer.id)
    decay = [v for _, v in record.series("optimizer.decay_ratio", number)]
    eps = [v for _, v in record.series("optimizer.eps_share", number)]
    clips = [v for _, v in record.series("clip.ratio")]
    found = {
        "first": max(steps[:FIRST], default=None),
        "top": course.top,
        "fall": course.fall,
        "swing": course.swing,
        "total": course.total,
        "way": optimizer.steps * median(steps) if steps else None,
        "left": sizes[-1] / sizes[0] if len(sizes) > 1 else None,
        "decay": median(decay) if decay else None,
        "eps": min(eps, default=None),
        "cut": sum(v > 1 for v in clips) / len(clips) if clips else None,
        "sharp": max(sharpness(record), default=None),
    }
    return {name: value for name, value in found.items() if value is not None and value == value}  # noqa: PLR0124  # NaN


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--by", default="first", choices=COLUMNS)
    asked = parser.parse_args()
    rows = []
    for path in sorted(asked.records.glob("*/*.dx")):
        try:
            rows.append((path, measured(read(path))))
        except RecordError as error:
            print(f"left out: {error}")
    rows = [row for row in rows if asked.by in row[1]]
    print(f"{'run':42}" + "".join(f"{column:>10}" for column in COLUMNS))
    for path, values in sorted(rows, key=lambda row: -row[1][asked.by]):
        cells = (f"{values[c]:10.3g}" if c in values else f"{'':10}" for c in COLUMNS)
        print(f"{path.parent.name + '/' + path.stem:42}" + "".join(cells))


if __name__ == "__main__":
    main()
