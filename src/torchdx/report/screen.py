"""A run that goes on, on one screen of a terminal, whatever its size."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from torchdx.record.following import QUIET_S
from torchdx.record.model import Optimizer, Record, Series
from torchdx.report.terminal import headline, shown
from torchdx.rules.base import Finding
from torchdx.rules.ranking import Diagnosis

_LABEL = 14  # columns in front of what a line says
_BARS = "▁▂▃▄▅▆▇█"
_FRAME = 3  # lines that a chart takes besides its rows
_CHART = (4, 12)  # rows of a chart, least and most
_LOG_FROM = 100  # times the lowest loss that the highest is
_DRAWN = 1e100  # losses from which on none is drawn
_POINTS = 3  # of a chart, a column
_SLOW_S = 90  # seconds above which minutes are told
_DECADES = 6.0  # of shares of the weights that bars tell apart, down from 1


@dataclass(frozen=True)
class Screen:
    """What is known of a run just now; shows itself in as many lines as there are.

    silent_s  seconds since its record grew
    alive     whether its process is there; None where that is not known
    """

    path: Path
    record: Record
    diagnosis: Diagnosis | None
    silent_s: float = 0.0
    alive: bool | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or console.height
        for line in self._lines(console, width, height)[:height]:
            line.truncate(width, overflow="ellipsis")
            yield from line.render(console)
            yield Segment.line()

    def _lines(self, console: Console, width: int, height: int) -> list[Text]:
        """The most important of what there is to say, in its usual order."""
        above, foot = [self._head(), *self._silence()], self._foot()
        findings = self.diagnosis.findings if self.diagnosis else ()
        rows = _rows(self.record, width)
        losses = [(step, loss) for step, loss in self.record.losses if abs(loss) < _DRAWN]
        room = height - len(above) - 1
        least = min(max(1, len(findings)), max(1, room // 2))  # lines that findings have
        rows = rows[: max(1, room - least)]
        room -= len(rows)
        chart = _chart(losses, width, room - least, half=bool(findings))
        if len(losses) > 1 and not chart:
            rows[0].append(f"  {spark([loss for _, loss in losses], max(8, width - 52))}")
        told = [] if self.diagnosis is None else _told(findings, console, width, room - len(chart))
        return [*above, *chart, *rows, *told, foot]

    def _head(self) -> Text:
        record = self.record
        argv = record.meta.get("argv") or ["notebook"]
        parts = [Path(argv[0]).name, f"step {step_of(record):,}"]
        if (elapsed := elapsed_s(record)) is not None:
            parts.append(duration(elapsed))
        if (rate := steps_per_s(record)) is not None:
            parts.append(f"{rate:.3g} steps/s")
        return Text.assemble(("torchdx ", "bold magenta"), (" · ".join(parts), "bold"))

    def _silence(self) -> list[Text]:
        """One line when nothing came for long: records of long runs grow ever more rarely."""
        if self.silent_s <= QUIET_S:
            return []
        there = {True: "; its process is there", False: "; its process is gone", None: ""}
        said = f"nothing new for {duration(self.silent_s)}{there[self.alive]}"
        return [Text(said, style="yellow")]

    def _foot(self) -> Text:
        return Text(f"q quits, the run goes on · {shown(self.path)}", style="dim")


def step_of(record: Record) -> int:
    """The last step that is known of: losses are often written before counts."""
    return max(record.steps, record.losses[-1][0] if record.losses else 0)


def elapsed_s(record: Record) -> float | None:
    """Seconds since the run began; when it ended, how long it took."""
    if "elapsed_s" in record.end:
        return float(record.end["elapsed_s"])
    if (started := record.meta.get("started")) is not None:
        return max(0.0, time.time() - float(started))
    return record.pace[-1][0] if record.pace else None


def steps_per_s(record: Record) -> float | None:
    """Steps a second lately: over the last tenth of the run, at least some seconds."""
    if not record.pace:
        return None
    now, steps = record.pace[-1]
    since = now - max(5.0, now / 10)
    at, before = max((p for p in record.pace if p[0] <= since), default=(0.0, 0))
    return (steps - before) / (now - at) if now > at else None


def duration(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h 05 min`."""
    if seconds < _SLOW_S:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def spark(values: Sequence[float], width: int) -> str:
    """Values as one line of bars, from the lowest to the highest."""
    few = _thinned(values, width)
    low, high = min(few), max(few)
    return "".join(_bar((value - low) / (high - low) if high > low else 0.0) for value in few)


def _bar(share: float) -> str:
    return _BARS[min(len(_BARS) - 1, max(0, int(share * len(_BARS))))]


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many: means of stretches of equal length."""
    count = min(most, len(values))
    ends = [len(values) * n // count for n in range(count + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(ends)]


def _chart(losses: Series, width: int, room: int, *, half: bool) -> list[Text]:
    """The loss over steps, in at most so many lines; nothing where there is too little to draw.

    `half`: others need room too.
    """
    least, most = _CHART
    rows = min(room - _FRAME, most)
    if rows < least or len(losses) < 2:  # noqa: PLR2004  # a line needs two points
        return []
    from uniplot import plot_to_string  # noqa: PLC0415  # numpy, only where there is room for it

    values = _thinned([loss for _, loss in losses], width * _POINTS)
    low, high = min(values), max(values)
    log = low > 0 and high / low > _LOG_FROM
    labels = [f" {high:.3g}", f" {low:.3g}" + " log" * log]
    drawn = plot_to_string(
        xs=_thinned([float(step) for step, _ in losses], width * _POINTS),
        ys=values,
        width=width - 2 - max(map(len, labels)),
        height=(least + rows) // 2 if half else rows,
        lines=True,
        character_set="braille",
        y_as_log=log,
        y_labels=False,
        x_gridlines=[],
        y_gridlines=[],
    )
    lines = [Text(line.rstrip(), style="cyan") for line in drawn.splitlines()]
    lines[1].append(labels[0], style="dim")
    lines[-3].append(labels[1], style="dim")
    return lines


def _rows(record: Record, width: int) -> list[Text]:
    """What is known, a line each, the most important first."""
    said = {
        "loss": _loss(record),
        "validation": _validation(record, width),
        "time": _time(record, width),
        "update/weight": _by_depth(record, width),
        "rate": _rate(record),
        "cost": _cost(record),
    }
    return [
        Text.assemble((f"{name:<{_LABEL}}", "dim"), text, no_wrap=True)
        for name, text in said.items()
        if text
    ]


def _loss(record: Record) -> str:
    losses = record.losses
    if not losses:
        return "none seen yet"
    finite = [loss for _, loss in losses if math.isfinite(loss)]
    course = f"  first {finite[0]:.4g}, lowest {min(finite):.4g}" if finite else ""
    wrong = next((step for step, loss in losses if not math.isfinite(loss)), None)
    return f"{losses[-1][1]:.4g}{course}" + (f", not finite at {wrong}" if wrong else "")


def _validation(record: Record, width: int) -> str:
    """The last passes over the loader that was validated with last."""
    judged = [p for p in record.phases if p.validation and (p.accuracy, p.loss) != (None, None)]
    own = [p for p in judged if (p.loader, p.line) == (judged[-1].loader, judged[-1].line)]
    parts = []
    for name, values in (
        ("accuracy", [p.accuracy for p in own if p.accuracy is not None]),
        ("loss", [p.loss for p in own if p.loss is not None]),
    ):
        many = max(1, (width - _LABEL - 18) // 14)
        if values:
            parts.append(f"{name} {' '.join(f'{value:.3g}' for value in values[-many:])}")
    return "  ".join(parts)


def _rate(record: Record) -> str:
    optimizer = _main(record)
    if optimizer is None:
        return ""
    rates = [rate for _, rate in optimizer.lrs]
    if not rates:
        return ""
    course = f"  from {rates[0]:.3g}  {spark(rates, 20)}" if len(rates) > 1 else ""
    return f"{rates[-1]:.3g}{course}"


def _main(record: Record) -> Optimizer | None:
    return max(record.optimizers.values(), key=lambda optimizer: optimizer.steps, default=None)


def _by_depth(record: Record, width: int) -> str:
    """How far the last measured step moved each weight, as a share of it, first layer to last."""
    shares = dict(_shares(record))
    if not shares:
        return ""
    low, high = (pick(shares, key=lambda name: shares[name]) for pick in (min, max))
    logs = [math.log10(share) for share in shares.values()]
    few = _thinned(logs, max(8, min(40, width - 56)))
    bars = "".join(_bar(1 + value / _DECADES) for value in few)
    ends = f"{shares[low]:.1e} {low} .. {shares[high]:.1e} {high}"
    return f"{bars}  {ends if low != high else ends.partition(' .. ')[0]}"


def _shares(record: Record) -> Iterator[tuple[str, float]]:
    """Update over weight, of weights of two or more dimensions, in the order of the models."""
    for model in record.models:
        for name, shape in model.parameters.items():
            update, weight = (record.series(f"{of}.norm", name) for of in ("update", "weight"))
            if len(shape) > 1 and update and weight and update[-1][0] == weight[-1][0]:
                (_, moved), (_, size) = update[-1], weight[-1]
                if 0 < moved < math.inf and 0 < size < math.inf:
                    yield name, moved / size


def _time(record: Record, width: int) -> str:
    parts = {}
    for part in ("data", "compute", "other"):
        series = record.series(f"time.{part}")
        parts[part] = series[-1][1] if series else 0.0
    whole = sum(parts.values())
    if whole <= 0:
        return ""
    most = max(4, min(30, width - 52))
    said = []
    for name, seconds in parts.items():
        bar = "█" * round(most * seconds / whole)
        said.append(f"{name} {bar}{' ' if bar else ''}{seconds / whole:.0%}")
    return "  ".join(said)


def _cost(record: Record) -> str:
    elapsed = record.pace[-1][0] if record.pace else 0.0
    if not elapsed:
        return ""
    share = record.spent_s / elapsed
    return f"{record.spent_s:.2g} s of {elapsed:.3g} s in torchdx's hooks ({share:.1%})"


def _told(findings: Sequence[Finding], console: Console, width: int, room: int) -> list[Text]:
    """Findings, the root first: their headlines, and their texts as far as there is room."""
    if not findings:
        return [Text("nothing found so far", style="green")] if room > 0 else []
    heads = [Text.assemble((f"{n:>2} ", "bold"), *headline(f)) for n, f in enumerate(findings, 1)]
    if len(heads) > room:
        more = len(heads) - max(0, room - 1)
        return [*heads[: max(0, room - 1)], Text(f"   and {more} more", style="dim")][
            : max(0, room)
        ]
    room -= len(heads)
    lines = []
    for head, finding in zip(heads, findings, strict=True):
        below = [
            Text(f"   {line.plain.rstrip()}")
            for line in Text(finding.text).wrap(console, width - 4)
        ]
        below = below if len(below) <= room else []
        room -= len(below)
        lines += [head, *below]
    return lines
