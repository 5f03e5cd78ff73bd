"""unscaled-targets (D17): the wanted numbers lie far from what an untrained output can say.

## What is seen
A loss over numbers whose first value is several times the variance of the targets, because their
mean is far off; and a good part of the run goes by before the loss is at that variance, which a
constant answer reaches. Or targets a thousand times as spread as the first answers, of which the
run explains nothing.
## Why the net does not learn
An untrained output is near 0 and about 0.1 wide. Until it has crept to the mean of the targets, the
gradient says the same for every row: go there. With Adam, whose step does not depend on the
gradient's size, this takes as many steps as the distance divided by the step; with plain gradient
descent the large errors make the first steps burst instead.
## When this is wrong
Where the loss is at the variance within the first part of the run, unscaled targets do no harm, and
this rule is silent. Outputs that are far off themselves are another matter (weights, inputs).
## What to try
Learn `(y - mean) / std` with numbers from the training part, and undo it in the answer; or start
the output's bias at the mean of the targets.
## Sources
Stack Overflow 45154470, 46642627; Karpathy 2019, "A recipe for training neural networks" (verify
the loss at the start); scikit-learn's `TransformedTargetRegressor`.
"""

import math
from collections.abc import Iterator

from torchdx.record.model import Record
from torchdx.rules.asked import Asked, asked
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule
from torchdx.rules.series import late

# Distance of the first mean answer from the targets' mean, in deviations of the targets. Scaled
# targets: up to 0.6; unscaled ones: 1.6 (digits as numbers), 2.4 and 3.1 (prices, miles).
OFF = 1.0
# Size of the targets over that of the first answers: 22 to 5,000,000 and more where targets are
# unscaled, under 1 where it is the answers that are far off.
SIZE = 10.0
# Part of the run before the loss is at the variance. Scaled targets: 0.02; unscaled ones that Adam
# gets over: 0.05; that it does not: 0.36, and the whole run.
PHASE = 0.2
# Deviation of the targets over that of the first answers. Scaled: 2 to 30; dollars: 64,000.
SPREAD = 1_000.0
NOTHING = 0.9  # of the variance left at the end: nothing explained
NEAR = 1.05  # the loss is at the variance within this factor
LEAST = 8  # measured losses


@rule("D17", "unscaled-targets", silences="O01 O02 O15 A08")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first loss of this kind."""
    for loss in asked(record):
        facts = loss.facts
        if facts["loss"] != "values" or not facts["variance"] or not facts["first"].get("answer"):
            continue
        series = loss.series(record, "loss.head")
        if facts["first"].get("step", 0) > 1 or len(series) < LEAST or _size(loss) < SIZE:
            continue
        until = next((step for step, v in series if v <= NEAR * facts["variance"]), None)
        phase = 1.0 if until is None else until / max(1, record.steps)
        if (_off(loss) >= OFF and phase >= PHASE) or _hopeless(loss, late(series) or 0.0):
            yield _finding(loss, phase)
            return


def _answer(loss: Asked) -> float:
    answer = loss.facts["first"]["answer"]
    return float(sum(answer) / len(answer))


def _off(loss: Asked) -> float:
    """How far the first answers are from the targets, in deviations of these."""
    return float(abs(loss.facts["mean"] - _answer(loss)) / loss.spread)


def _size(loss: Asked) -> float:
    """How large the targets are, in sizes of the first answers."""
    own = math.hypot(_answer(loss), loss.facts["first"]["spread"])
    return math.hypot(loss.facts["mean"], loss.spread) / max(own, 1e-12)


def _hopeless(loss: Asked, last: float) -> bool:
    spread = loss.spread / max(loss.facts["first"]["spread"], 1e-12)
    return bool(
        spread >= SPREAD
        and loss.facts["first"]["spread"] > 0
        and last >= NOTHING * loss.facts["variance"]
    )


def _finding(loss: Asked, phase: float) -> Finding:
    facts = loss.facts
    whole = "all" if phase >= 1 else f"{phase:.0%}"
    return Finding(
        text=f"the targets have mean {facts['mean']:.3g} and deviation {loss.spread:.3g}, the "
        f"untrained net answers {_answer(loss):.2g} with deviation {facts['first']['spread']:.2g}: "
        f"{whole} of the steps go by before the loss is at the targets' variance, which a constant "
        f"reaches",
        line=loss.line,
        place="loss",
        severity="suspicion",
        confidence="strong",
        evidence=(
            Evidence("first mean answer from the targets' mean, in deviations", _off(loss), OFF),
            Evidence("part of the run until the loss is at the variance", phase, PHASE),
            Evidence("size of the targets over that of the first answers", _size(loss), SIZE),
        ),
        prescriptions=(
            Prescription(
                "scale_targets",
                "learn (y - mean) / std of the training targets",
                to=f"{facts['mean']:.6g} {loss.spread:.6g}",
            ),
        ),
        confirm="with scaled targets the loss is below their variance after a few steps",
    )
