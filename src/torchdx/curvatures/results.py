"""What all answers have in common: an interval, what was differentiated, what it cost."""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch

_WIDTH = 100


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`; holds with probability `level` over the random start.

    A level of 1 is a proof up to rounding; None: an estimate without a bound.
    """

    low: float
    high: float
    level: float | None

    @property
    def middle(self) -> float:
        """Its centre, or the finite end."""
        if math.isinf(self.low) or math.isinf(self.high):
            return self.high if math.isinf(self.low) else self.low
        return (self.low + self.high) / 2

    def times(self, factor: float) -> "Interval":
        """The interval of a multiple."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(ends[0], ends[1], self.level)

    def __str__(self) -> str:
        suffix = " (no bound)" if self.level is None else f" ({self.level * 100:.4g}%)"
        size, width = max(abs(self.low), abs(self.high)), self.high - self.low
        apart = math.isfinite(width) and 0 < width < size
        digits = min(8, max(4, 2 - math.floor(math.log10(width / size)))) if apart else 4
        return f"[{self.low:.{digits}g}, {self.high:.{digits}g}]{suffix}"


@dataclass(frozen=True)
class Loss:
    """Which function was differentiated.

    value       of the loss at the weights, the mean over batches by their weights
    mode        "training", "evaluation", "mixed" or, for a closure or operator, "as called"
    random      whether the forward draws random numbers; then one draw is kept for all products
    rows        of the batches together, None where unknown
    parameters  how many numbers the Hessian is taken for
    method      "retained", "rebuilt" or "secant" (differences of gradients), "foreign"; `because`:
                why that one
    notes       what else was arranged for: autocast off, hooks at rest, ranks
    """

    value: float
    mode: str
    random: bool
    rows: int | None
    batches: int
    parameters: int
    dtype: str
    device: str
    method: str
    because: str
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [f"loss {short(self.value)}"] if math.isfinite(self.value) else []
        told.append(f"{self.mode} mode" if self.mode != "as called" else self.mode)
        if self.random:
            told.append("one dropout mask")
        if self.rows is not None:
            rows = f"{self.rows} rows"
            told.append(rows if self.batches == 1 else f"{rows} in {self.batches} batches")
        told += [f"{self.parameters} parameters", self.dtype.removeprefix("torch.")]
        told.append(f"{self.method} ({self.because})" if self.because else self.method)
        return ", ".join([*told, *self.notes])


@dataclass(frozen=True)
class Spent:
    """What an answer cost beyond what was known before.

    products  Hessian-vector products; losses: forward passes; seconds of this process's CPU
    """

    products: int
    losses: int
    seconds: float

    def __str__(self) -> str:
        losses = f", {self.losses} forward{'s' * (self.losses != 1)}" if self.losses else ""
        products = f"{self.products} product{'s' * (self.products != 1)}"
        return f"{products}{losses}, {self.seconds:.2g} s"


class Result:
    """An answer: prints itself, and turns into plain data."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data: numbers, strings, lists and mappings; tensors are left out."""
        return {"kind": type(self).__name__, **_fields(self)}

    def __repr__(self) -> str:
        return str(self)


def _fields(value: Any) -> dict[str, Any]:
    own = ((each.name, getattr(value, each.name)) for each in fields(value))
    return {name: plain(item) for name, item in own if not _is_heavy(item)}


def _is_heavy(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(item, torch.Tensor) for item in value.values())
    if isinstance(value, tuple):
        return any(isinstance(item, torch.Tensor) or _is_heavy(item) for item in value)
    return isinstance(value, torch.Tensor)


def plain(value: Any) -> Any:
    """A result's part as JSON knows it; NaN stays NaN."""
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def short(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def lines(title: str, rows: Mapping[str, str], about: Loss, spent: Spent) -> str:
    """A block for the terminal: a title, rows with aligned names, what and how much."""
    told = {**rows, "of": str(about), "cost": str(spent)}
    width = max(map(len, told))
    return "\n".join([title, *(_row(name, text, width) for name, text in told.items())])


def layers(shares: Mapping[str, float]) -> str:
    """The three layers with the largest shares."""
    return ", ".join(f"{name} ({share:.0%})" for name, share in list(shares.items())[:3])


def _row(name: str, text: str, width: int) -> str:
    indent = " " * (width + 4)
    first = f"  {name:<{width}}  "
    return textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )
