"""batch-against-noise (P04): the batch is far from what the noise of the gradient asks for.

## What is seen
The gradients of single rows, as the linear layers have them, give the gradient noise scale: the
number of rows at which noise and signal of their mean are alike. Either the batch is five times
larger, and the loss was still falling when the run ended: the rows went into few and needlessly
exact steps (a note from twice the scale, where the run ended in the middle of its fall). Or the
batch is five times smaller, the loss has stopped far from zero, and a quarter of it or more is what
the steps' own noise adds, by rate and spread of the gradients (SGD only).
## Why the net does not learn
A step gets no better by averaging more rows than the noise scale: ten times the batch costs ten
times the rows for nearly the same step. Far below it, each step is mostly noise, and weights
wander around a minimum at a distance that grows with rate over batch.
## When this is wrong
Where steps are few on purpose (a trial run), or where a large batch is split over machines and
costs no time, rows are not what counts. A noise scale read from linear layers was within a factor
of 2 of that of all parameters in what was tried. It grows while a net learns: near the end of a
good run every batch is far below it, which is no fault, and is not told. Losses of unknown kind,
several optimizers, second-order methods, and programs that ask a model without gradients in most
steps (reinforcement, teachers) are passed over.
## What to try
Larger: smaller batches, so that the same rows make more steps, or more epochs, or, up to a limit, a
rate that grows with the batch. Smaller: a larger batch, accumulation, or a smaller rate.
## Sources
McCandlish, Kaplan, Amodei 2018, arXiv 1812.06162 (section 2.2, appendix A); Gray et al. 2024, arXiv
2411.00999; Mandt, Hoffman, Blei 2017, arXiv 1704.04289 (noise around a minimum); Stack Overflow
48594888; limits: docs/limits.md, P04.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median

from torchdx.graph.model import Line
from torchdx.record.model import Optimizer, Record, Series
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, Severity, rule

# Times larger or smaller. At five times the noise scale a row does a third of what it does at the
# noise scale itself (McCandlish et al., equation 2.11: 1 + B / B_noise). The estimate is good for a
# factor of 2.
FAR = 5
# Rows below which all rows pull one way: targets far from zero, rows in order. The cause is not
# the batch. Healthy runs had 11 or more while they learnt (docs/limits.md, P04).
ALIKE = 8
LARGER = 2  # times: worth a note where the run ended in the middle of its fall
SAMPLES = 4  # estimates, each of 16 rows or more, that the noise scale goes over
STEPS = 20  # optimizer steps of a run that can be judged
# The share of the whole fall of the loss that came in the last quarter of the run. Of a straight
# line it is 0.29, of runs that were long enough 0.00 to 0.02 (docs/limits.md, P04).
FALLING, MIDDLE = 0.10, 0.25
STOPPED = 0.97  # of the quarter before: the loss falls no more
HIGH = 0.15  # of the first loss: far from zero
EXCESS = 0.25  # of the loss that is the steps' own noise
_SECOND_ORDER = frozenset({"LBFGS"})
_TOLD = 200  # phases that the record tells one by one


@rule("P04", "batch-against-noise")
def check(record: Record) -> Iterator[Answer]:
    """At most one finding."""
    stepping = [o for o in record.optimizers.values() if o.steps]
    losses = _quarters(record.losses)
    noise = _noise(record)
    if len(stepping) != 1 or stepping[0].cls in _SECOND_ORDER or losses is None:
        return
    if noise is None or not record.signals.get("loss.head") or _answers_itself(record):
        return
    run = _Run(stepping[0], noise, losses)
    times = noise.batch / noise.scale
    if noise.scale < ALIKE or losses[2] <= 0:
        return
    if times >= FAR and run.falling >= FALLING:
        yield _too_large(record, run, "suspicion")
    elif times >= LARGER and run.falling >= MIDDLE:
        yield _too_large(record, run, "note")
    elif noise.scale >= FAR * noise.batch and run.stopped and run.excess >= EXCESS:
        yield _too_small(record, run)


@dataclass(frozen=True)
class _Noise:
    """The noise scale in rows, the rows of a step, and a row's spread, late in the run."""

    scale: float
    batch: float
    spread: float
    samples: int


@dataclass(frozen=True)
class _Run:
    """The optimizer, the noise, and the loss: at first, and in the last quarters."""

    optimizer: Optimizer
    noise: _Noise
    losses: tuple[float, float, float]

    @property
    def falling(self) -> float:
        """The share of the fall of the loss that came last."""
        first, before, last = self.losses
        return (before - last) / (first - last) if first > before > last else 0.0

    @property
    def stopped(self) -> bool:
        first, before, last = self.losses
        return last >= STOPPED * before and last >= HIGH * first

    @property
    def excess(self) -> float:
        """The share of the loss that plain gradient steps of this size add by their noise.

        Around a minimum each direction's variance is rate * spread / (2 * batch * curvature), and
        half the curvature times it is the loss that it adds: rate * spread / (4 * batch) in all.
        """
        if self.optimizer.cls != "SGD" or not self.optimizer.lrs or self.losses[2] <= 0:
            return 0.0
        momentum = self.optimizer.defaults.get("momentum") or 0.0
        rate = self.optimizer.lrs[-1][1] / (1.0 - min(float(momentum), 0.999))
        return rate * self.noise.spread / (4 * self.noise.batch) / self.losses[2]


def _noise(record: Record) -> _Noise | None:
    """Over the measured steps of the later half, as most of a run is like its later half.

    The squares of all layers are summed; each step counts alike, whatever the size of its gradient.
    """
    squares: dict[int, float] = {}
    spreads: dict[int, float] = {}
    rows: dict[int, float] = {}
    for place in record.signals.get("noise.square", {}):
        for signal, sums in (("noise.square", squares), ("noise.spread", spreads)):
            for step, value in record.series(signal, place):
                sums[step] = sums.get(step, 0.0) + value
        for step, value in record.series("noise.rows", place):
            rows[step] = max(rows.get(step, 0.0), value)
    known = [s for s in sorted(squares) if 0 < squares[s] + spreads[s] < math.inf]
    known = [step for step in known if step > record.steps / 2] or known[-SAMPLES:]
    if len(known) < SAMPLES:
        return None
    share = fmean(squares[step] / (squares[step] + spreads[step]) for step in known)
    scale = (1 - share) / share if share > 0 else math.inf
    batch = median(rows[step] for step in known) * _passes(record)
    return _Noise(scale, batch, median(spreads[step] for step in known), len(known))


def _answers_itself(record: Record) -> bool:
    """Whether models are asked without gradients in most steps: reinforcement, teachers, targets.

    Their loss does not tell how far they have come.
    """
    asked = [p for p in record.phases if not p.loader and not p.backwards and p.no_grad]
    return 2 * len(asked) > min(record.steps, _TOLD)


def _passes(record: Record) -> int:
    """Backward passes of a step, and the processes that average their gradients."""
    shapes = sorted(record.shapes.values(), key=lambda s: -record.shape_counts.get(s.id, 0))
    passes = shapes[0].count("backward") if shapes else 1
    return max(1, passes) * int(record.meta.get("world") or 1)


def _quarters(losses: Series) -> tuple[float, float, float] | None:
    """The loss at first, in the third quarter of the steps and in the last; None of a short run."""
    if len(losses) < STEPS or not all(math.isfinite(loss) for _, loss in losses):
        return None
    end = losses[-1][0]
    third = [loss for step, loss in losses if end / 2 < step <= 3 * end / 4]
    last = [loss for step, loss in losses if step > 3 * end / 4]
    beginning = losses[: min(20, max(2, len(losses) // 20))]
    return fmean(loss for _, loss in beginning), fmean(third), fmean(last)


def _too_large(record: Record, run: _Run, severity: Severity) -> Finding:
    noise, (_, before, last) = run.noise, run.losses
    wanted = _round(noise.scale)
    return Finding(
        text=f"each of the {record.steps} steps averages {noise.batch:.0f} rows, "
        f"{noise.batch / noise.scale:.0f} times the noise scale of the gradient "
        f"({noise.scale:.0f} rows), and the loss was still falling at the end ({before:.3g} to "
        f"{last:.3g} in the last quarter): the same rows in smaller batches would make more steps, "
        f"nearly as good",
        line=_line(record, run.optimizer),
        place="run",
        severity=severity,
        evidence=(
            Evidence(
                "rows of a step over the noise scale", _digits(noise.batch / noise.scale), FAR
            ),
            Evidence("share of the loss's fall in the last quarter", _digits(run.falling), FALLING),
            Evidence("measured steps", noise.samples, SAMPLES),
        ),
        prescriptions=(
            Prescription("batch_size", f"batches of about {wanted} rows", to=str(wanted)),
            Prescription("epochs", "or train longer"),
        ),
        confirm=f"train with batches of {wanted} rows for as many epochs: the loss ends lower",
    )


def _too_small(record: Record, run: _Run) -> Finding:
    noise, (_, _, last) = run.noise, run.losses
    known = not math.isinf(noise.scale)
    scale = f"the noise scale is {noise.scale:.0f} rows" if known else "no common part was seen"
    wanted = _round(min(noise.scale, 32 * noise.batch))
    return Finding(
        text=f"a step of {noise.batch:.0f} row{'s' * (noise.batch > 1)} is mostly noise "
        f"({scale}), the loss has stopped at {last:.3g}, and {run.excess:.0%} of that "
        f"is what this rate adds by the noise of its steps",
        line=_line(record, run.optimizer),
        place="run",
        severity="suspicion",
        evidence=(
            Evidence("noise scale over rows of a step", _digits(noise.scale / noise.batch), FAR),
            Evidence(
                "share of the loss that the noise of the steps adds", _digits(run.excess), EXCESS
            ),
            Evidence("measured steps", noise.samples, SAMPLES),
        ),
        prescriptions=(
            Prescription("batch_size", f"batches of about {wanted} rows", to=str(wanted)),
            Prescription("lr", "or a rate that falls towards the end"),
        ),
        confirm="divide the rate by ten for the last epoch: the loss should fall at once",
    )


def _line(record: Record, optimizer: Optimizer) -> Line | None:
    """Where batches come from, else where the optimizer was made."""
    loop = next((phase.line for phase in record.phases if phase.steps and phase.loader), None)
    return loop or optimizer.line


def _round(rows: float) -> int:
    """A power of two of rows."""
    return 1 << max(0, round(math.log2(max(1.0, rows))))


def _digits(value: float) -> float:
    return float(f"{value:.2g}")
