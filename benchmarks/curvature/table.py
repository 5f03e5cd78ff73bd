"""A row of the comparison, and whether its target is met."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

PEERS = ("PyHessian", "eigenthings", "curvlinops")


@dataclass(frozen=True)
class Row:
    """What was measured, of what, by whom.

    target  in words; `met` is None where nothing is asked for, or it could not be measured
    peers   what each of `PEERS` gave; one that is not named was not asked, and shows a dash
    """

    what: str
    net: str
    ours: str
    target: str = "-"
    met: bool | None = None
    peers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        verdict = {True: "yes", False: "**no**", None: "-"}[self.met]
        others = [self.peers.get(name, "-") for name in PEERS]
        return f"| {' | '.join([self.what, self.net, self.ours, *others, self.target, verdict])} |"


HEAD = "\n".join(
    [
        f"| | net | torchdx | {' | '.join(PEERS)} | target | met |",
        f"|---|---|---|{'---|' * len(PEERS)}---|---|",
    ]
)


def within(*pairs: tuple[float, float]) -> bool:
    """Whether each number is at most its limit; one that is not a number never is."""
    return all(not math.isnan(found) and found <= limit for found, limit in pairs)


def summary(rows: list[Row]) -> str:
    """How many targets are met, and which are not."""
    asked = [row for row in rows if row.met is not None]
    missed = [f"{row.what} ({row.net})" for row in asked if not row.met]
    told = f"{len(asked) - len(missed)} of {len(asked)} targets met"
    return f"{told}; missed: {', '.join(missed)}." if missed else f"{told}."
