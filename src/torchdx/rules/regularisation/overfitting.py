"""overfitting (R03): the validation loss has turned up while the training loss falls on.

## What is seen
The loss on the same held-out rows, as measured by torchdx pass after pass, has a lowest place and
has risen since by more than chance explains: more than the passes scatter about their own course,
and more than so many rows can move by themselves. Over the same passes the training loss went on
falling. The state of the lowest place was not kept.
## Why the net does not learn
It learns the training rows by heart. Every step after the turn makes the answers on other rows
worse, or at least surer of what they get wrong: accuracy often stays, while the loss rises with the
confidence of the mistakes.
## When this is wrong
A short turn within the scatter of passes is passed over, as is a run that keeps or restores the
state of its lowest place. Very long training of over-sized nets can come down again ("double
descent", "grokking"); a run that ends while still rising cannot show it. Where only the accuracy
matters, and it holds, the rise is one of calibration. Binary losses are not judged.
## What to try
Stop at the lowest place and restore its state; else more data or augmentation, weight decay,
dropout, or a smaller net. Compare by the lowest validation loss, not by the last.
## Sources
Stack Overflow 51122380; Prechelt, "Early stopping: but when?" (1998); Guo et al., "On calibration
of modern neural networks" (2017).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from torchdx.record.model import Json, Phase, Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule

PASSES = 8  # validations on the same rows: a course of fewer says nothing
AFTER = 4  # of them behind the lowest: a turn, not a hitch
# docs/limits.md, R03: the share by which the late loss lies above the lowest. Healthy runs that
# also pass the limits below: none; a sick one 0.10.
RISEN = 0.06
# Standard errors of a mean over so many rows, from the rows themselves: healthy at most 1.2,
# sick 3.9 and 5.6.
ROWS = 2.5
SCATTER = 3.0  # deviations of single passes: a turn, not their noise
FALLEN = 0.8  # training loss late over that at the lowest place: it still falls (sick 0.10, 0.53)
ALIKE = 2.5  # between the two losses in the first pass: else they are not of one kind
STRONG = 0.2  # a rise by a fifth is beyond what calibration alone does to a sound run
_SECOND = 1.65  # median size of a second difference of independent values, in their deviations


@dataclass(frozen=True)
class _Course:
    """One set's validations: losses, and the training loss of the steps before each.

    ignorant   the loss of an answer that knows no inputs, only how often labels are asked for
    """

    phases: list[Phase]
    losses: list[float]
    training: list[float | None]
    kind: str
    ignorant: float

    @property
    def lowest(self) -> int:
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    @property
    def best(self) -> float:
        """The loss about the lowest pass, less of its luck."""
        at = self.lowest
        return median(self.losses[max(0, at - 1) : at + 2])

    @property
    def late(self) -> float:
        return median(self.losses[-max(3, len(self.losses) // 4) :])

    @property
    def rise(self) -> float:
        return self.late / self.best - 1 if self.best > 0 else 0.0

    @property
    def scatter(self) -> float:
        """The deviation of single passes about the course of their neighbours."""
        trios = zip(self.losses, self.losses[1:], self.losses[2:], strict=False)
        bends = [abs(a - 2 * b + c) for a, b, c in trios]
        return median(bends[len(bends) // 2 :]) / _SECOND

    @property
    def error(self) -> float:
        """What the mean over these rows moves by itself.

        Of squared errors a row's own deviation is about their mean; of cross-entropy nearly all
        movement is in the rows that are missed, about a nat each.
        """
        phase = self.phases[self.lowest]
        missed = 1 - phase.accuracy if phase.accuracy is not None else 1.0
        row = self.best if self.kind == "values" else math.sqrt(max(missed, 1 / phase.rows))
        return row / math.sqrt(phase.rows)

    @property
    def fallen(self) -> float | None:
        """The training loss late over that at the lowest validation."""
        count = max(3, len(self.losses) // 4)
        late = [loss for loss in self.training[-count:] if loss is not None]
        there = self.training[self.lowest]
        return median(late) / there if late and there is not None and there > 0 else None


@rule("R03", "overfitting")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the clearest course."""
    found = [c for c in _courses(record) if _turned(c) and not _kept(record, c)]
    if found:
        yield _finding(max(found, key=lambda course: course.rise))


def _courses(record: Record) -> Iterator[_Course]:
    known = {
        event.facts["model"]: (event.facts["loss"], event.facts["set"])
        for event in record.of("inputs")
        if event.facts["role"] == "learned"
    }
    targets = {event.facts["graph"]: event.facts for event in record.of("targets")}
    groups: dict[object, dict[int, Phase]] = {}
    for phase in record.phases:
        told = phase.validation and phase.training is False and phase.loss is not None
        if told and known.get(phase.model, ("", 0))[1] in targets:
            key = (phase.loader, phase.model, phase.line, phase.rows)
            groups.setdefault(key, {}).setdefault(phase.at, phase)
    for group in groups.values():
        phases = list(group.values())
        losses = [phase.loss for phase in phases if phase.loss is not None]
        kind, graph = known[phases[0].model]
        ignorant = _ignorant(kind, targets[graph])
        if ignorant and len(losses) >= PASSES and all(map(math.isfinite, losses)):
            yield _Course(phases, losses, _training(record, phases), kind, ignorant)


def _ignorant(kind: str, facts: Json) -> float | None:
    if kind == "values":
        return float(facts["variance"])
    total = sum(facts["counts"])
    shares = [count / total for count in facts["counts"] if count > 0]
    return -sum(p * math.log(p) for p in shares) if kind == "classes" else None


def _training(record: Record, phases: list[Phase]) -> list[float | None]:
    """The mean training loss between each validation and the one before."""
    means: list[float | None] = []
    since = 0
    for phase in phases:
        between = [loss for step, loss in record.losses if since < step <= phase.step]
        known = [loss for loss in between if math.isfinite(loss)]
        means.append(sum(known) / len(known) if known else None)
        since = phase.step
    return means


def _turned(course: _Course) -> bool:
    behind = len(course.losses) - 1 - course.lowest
    if behind < AFTER or not 0 < course.best < course.ignorant or not _alike(course):
        return False  # labels that do not go with these answers look so, too
    up, fallen = course.late - course.best, course.fallen
    clear = up > SCATTER * course.scatter and up > ROWS * course.error
    return clear and course.rise > RISEN and fallen is not None and fallen < FALLEN


def _alike(course: _Course) -> bool:
    """Whether validation and training loss are of one kind, as the first pass shows."""
    early = [(v, t) for v, t in zip(course.losses, course.training, strict=True) if t]
    if not early:
        return False
    ratio = early[0][0] / early[0][1]
    return 1 / ALIKE < ratio < ALIKE


def _kept(record: Record, course: _Course) -> bool:
    """Whether the program keeps the state of its best pass, or went back to an earlier one."""
    model = course.phases[0].model
    own = [e for e in record.of("load-state-dict") if e.facts["model"] == model]
    if any((e.facts["taken_at"] or 0) > 0 and e.facts["since"] for e in own):
        return True
    taken = {e.facts["at"] for e in record.of("state-dict") if e.facts["model"] == model}
    near = course.phases[max(0, course.lowest - 1) : course.lowest + 2]
    late = course.phases[-AFTER // 2 :]
    return any(p.at in taken for p in near) and not all(p.at in taken for p in late)


def _finding(course: _Course) -> Finding:
    lowest, last = course.lowest + 1, len(course.losses)
    strong = course.rise > STRONG
    there, fallen = course.training[course.lowest] or 0.0, course.fallen or 0.0
    phase = course.phases[course.lowest]
    return Finding(
        text=f"the validation loss was lowest in pass {lowest} of {last} ({course.best:.4g}) and "
        f"has risen by {100 * course.rise:.0f} % since ({course.late:.4g}), while the training "
        f"loss fell on from {there:.4g} to {there * fallen:.4g}: the net learns its rows by heart",
        line=phase.line,
        place=phase.model,
        severity="suspicion",
        confidence="strong" if strong else "weak",
        evidence=(
            Evidence("validation loss late", course.late, course.best),
            Evidence("rise in standard errors", (course.late - course.best) / course.error, ROWS),
            Evidence("training loss late over that at the lowest place", fallen, FALLEN),
        ),
        excluded=(
            Excluded("O17", "scatter of single passes", course.scatter, course.late - course.best),
        ),
        prescriptions=(
            Prescription(
                "early_stopping",
                f"stop after about {lowest} passes, or keep the state of the lowest validation "
                "loss and restore it",
                where=phase.model,
                to=str(lowest),
            ),
            Prescription("regularise", "add weight decay, dropout, data, or take a smaller net"),
        ),
        confirm="the same run stopped at its lowest validation loss, or with weight decay, is "
        "better on rows that chose nothing",
    )
