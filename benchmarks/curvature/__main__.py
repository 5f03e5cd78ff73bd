"""Curvature beside its peers: every number against its target, in one run.

    python -m benchmarks.curvature                     all of it, about 20 minutes of one core
    python -m benchmarks.curvature --starts 400        as many random starts for the small net
    python -m benchmarks.curvature defects state       some parts: see PARTS
    python -m benchmarks.curvature products --nets mlp

Times are CPU seconds of this process, given in gradients ("g": one forward and backward of the
same net, measured in turn). `make peers` installs what it is compared with; a peer that is not
there says so in its column. With --write the table replaces the one in docs/curvature.md.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import torch

from benchmarks.curvature import (
    defects,
    eigenvalues,
    imports,
    memory,
    nets,
    products,
    state,
    verdicts,
)
from benchmarks.curvature.table import HEAD, Row, summary

PAGE = Path(__file__).parents[2] / "docs" / "curvature.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
SMALL, LARGE = ("mlp", "gpt"), ("gpt", "resnet20")
case = cache(nets.case)


def _parts(asked: argparse.Namespace) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each part's rows, made when they are asked for."""

    def of(
        rows: Callable[[nets.Case], Iterator[Row]], fitting: tuple[str, ...]
    ) -> Callable[[], Iterator[Row]]:
        return lambda: (row for name in fitting if name in asked.nets for row in rows(case(name)))

    def cold(net: nets.Case) -> Iterator[Row]:
        return eigenvalues.cold_rows(net, asked.starts, asked.peer_starts)

    return {
        "products": of(products.rows, nets.NAMES),
        "gpu": of(products.gpu_rows, nets.NAMES),
        "cold": of(cold, nets.NAMES),
        "followed": of(eigenvalues.followed_rows, SMALL),
        "five": of(eigenvalues.five_rows, SMALL),
        "together": of(eigenvalues.together_rows, SMALL),
        "negative": of(verdicts.negative_rows, SMALL),
        "minimum": verdicts.minimum_rows,
        "step": of(verdicts.step_rows, ("mlp",)),
        "edge": verdicts.edge_rows,
        "memory": of(lambda net: memory.rows(net.name), LARGE),
        "defects": defects.rows,
        "state": state.rows,
        "import": imports.rows,
    }


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="all by default")
    parser.add_argument("--nets", nargs="+", choices=nets.NAMES, default=nets.NAMES)
    parser.add_argument("--starts", type=int, default=40, help="random starts of the small net")
    parser.add_argument("--peer-starts", type=int, default=10, help="of these, for the peers too")
    parser.add_argument("--write", action="store_true", help="put the table into docs/curvature.md")
    asked = parser.parse_args()
    known = _parts(asked)
    if unknown := set(asked.parts) - set(known):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return asked


def written(page: str, table: str) -> str:
    """The page with another table between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Print the rows as they come, then how many targets are met."""
    warnings.filterwarnings("ignore")  # the peers': of graphs that they leave on .grad
    torch.set_num_threads(1)
    asked = _asked()
    print(HEAD, flush=True)
    rows = []
    for name, make in _parts(asked).items():
        if not asked.parts or name in asked.parts:
            for row in make():
                rows.append(row)
                print(row, flush=True)
    print(f"\n{summary(rows)}")
    if asked.write:
        table = "\n".join([HEAD, *map(str, rows), "", summary(rows)])
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
