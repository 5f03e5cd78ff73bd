"""unscaled-inputs (D01): inputs, or some of their columns, are far from unit size.

## What is seen
The inputs' root mean square is many times one, or single columns are many times larger than the
rest; in the first layer the weights' gradient is as many times that of the bias. And the run shows
it: the first answers are far worse than a guess, the first layer moves by a large part of its
weights in one step, or the loss does not fall.
## Why the net does not learn
The loss curves as the square of the inputs: a step that suits the small columns is far too long for
the large ones, and one that suits these leaves the small ones unlearned. Units are saturated or
dead from the first steps on, and the largest column decides.
## When this is wrong
Codes of words or classes are no sizes, and go through an embedding; a norm before or behind the
first layer sets the scale right. Large inputs with a rate found for them can do: without harm
nothing is told. Columns of an image differ naturally; only whole tables of numbers are judged
column by column.
## What to try
Standardise every column by the mean and deviation of the training rows (the same numbers for
validation), divide bytes by 255, take the logarithm of prices and counts.
## Sources
LeCun et al. 1998, "Efficient BackProp", section 4.3; Stack Overflow 55328966 and 39525358.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from torchdx.record.model import Record
from torchdx.rules.base import Answer, Evidence, Excluded, Finding, Prescription, rule
from torchdx.rules.data.learned_rows import Learned, begun, ended, learned
from torchdx.rules.series import fallen

# Root mean square of the inputs. Healthy: 0.2 to 1.2 in 281 tables, 2.8 and 3.9 in two more. Sick:
# 23 and 228. Pixels of 0 to 16 have about 8, bytes 75 to 110.
LARGE = 6.0
# Root mean square of the largest column over that of the median one, of rows that are no images.
# Healthy: 1.0 to 2.0, once 7.8 (the four measures of a cart and its pole). Sick: 7.2 in inputs that
# are large as well, and 324.
UNEVEN = 20.0
# Gradient of the first layer's weights over that of its bias, per root of the columns: how large
# the inputs are to the layer. Healthy: 0.11 to 4.2. Sick: 21 and 199, of inputs of 23 and 228.
# A net that is stepped far out: 9.4.
PULL = 12.0
# The same over the inputs' size. It is 0.9 in both, and 1e6 and more where a norm behind the layer
# takes the bias away: such a layer minds no scale.
NO_BIAS = 100.0
# First loss over that of a guess which knows the labels' shares (their mean). By itself it parts
# nothing: nets with inputs of unit size have 0.05 to 2.6. Sick: 1.06 and 2.2.
WORSE = 1.5
# Change of the first layer's weights in one of the first five steps, as a share of their size.
# Healthy: 0.37 at most, and 0.69 with L-BFGS. Sick: 0.02 (Adam) and 0.76.
JUMP = 0.5
LEFT = 0.6  # of the first loss at the end. Healthy: 0.25 in the median. Sick: 0.23 and 0.96
_TOLD = 2.0  # columns more uneven than this are named
_IMAGE = 3  # dimensions of a row that is an image


@dataclass(frozen=True)
class _Harm:
    text: str
    evidence: Evidence


@rule(
    "D01",
    "unscaled-inputs",
    silences="O01 O17 A02 A03 A05 A07 A14 L19 A13 D06 O02 A08 D17 O15 P04",
)
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first table of rows that is large or uneven, and does harm."""
    for table in learned(record):
        if not table.floats or not table.inputs["std"] or not _judged_as_given(table):
            continue
        uneven = _uneven(table)
        if table.size < LARGE and uneven < UNEVEN:
            continue
        pull = _pull(table)
        if pull is not None and table.size < LARGE and pull < PULL:
            continue
        if _norm_behind(table, pull):
            continue
        harm = _harm(table)
        if harm is not None:
            yield _finding(table, uneven, pull, harm)
            return


def _judged_as_given(table: Learned) -> bool:
    """Whether the first layer takes the numbers as they are: no norm, no look-up of codes."""
    kind = next(iter(table.classes), "")
    return "Norm" not in kind and "Embedding" not in kind


def _uneven(table: Learned) -> float:
    """Size of the largest column over that of the median one; 1 for images and single columns."""
    power = table.inputs["power"]
    if power is None or len(table.inputs["shape"]) >= _IMAGE or _like_pixels(table):
        return 1.0
    return math.sqrt(power)


def _like_pixels(table: Learned) -> bool:
    """Images as rows have many columns of one range, some of which never change."""
    return bool(table.inputs["constant"] > 0) and table.inputs["columns"] >= 49  # noqa: PLR2004  # 7 by 7


def _pull(table: Learned) -> float | None:
    gradients = table.record.signals.get("gradient.norm", {})
    weight = begun(gradients.get(f"{table.first}.weight", []))
    bias = begun(gradients.get(f"{table.first}.bias", []))
    if not weight or not bias:
        return None
    return weight / bias / math.sqrt(table.inputs["columns"])


def _norm_behind(table: Learned, pull: float | None) -> bool:
    """Whether a norm follows the first layer, so that its inputs' size is no matter."""
    if pull is not None:
        return pull > NO_BIAS * table.size
    return any("Norm" in kind for kind in table.classes[1:3])


def _harm(table: Learned) -> _Harm | None:
    record = table.record
    plain, first = table.plain_loss, table.targets.get("first", {}).get("loss")
    if plain and first is not None and first > WORSE * plain:
        text = f"the first answers cost {first:.3g}, a guess that knows no input {plain:.3g}"
        return _Harm(text, Evidence("first loss over that of a guess", round(first / plain, 2), 1))
    jump = _jump(table)
    if jump is not None and jump > JUMP:
        text = f"one of the first steps changed the weights of `{table.first}` by {jump:.2g} times "
        return _Harm(text + "their size", Evidence("change in one step", round(jump, 3), JUMP))
    if any(not math.isfinite(loss) for _, loss in record.losses):
        return _Harm("the loss is not finite later on", Evidence("loss", "nan", "finite"))
    left = fallen(record)
    if left is not None and left > LEFT:
        text = f"the loss is still at {left:.0%} of what it was at first"
        return _Harm(text, Evidence("loss at the end over that at first", round(left, 3), LEFT))
    return None


def _jump(table: Learned) -> float | None:
    signals, place = table.record.signals, f"{table.first}.weight"
    changes = signals.get("update.norm", {}).get(place, [])[:5]
    sizes = dict(signals.get("weight.norm", {}).get(place, []))
    shares = [change / sizes[step] for step, change in changes if sizes.get(step)]
    return max(shares, default=None)


def _finding(table: Learned, uneven: float, pull: float | None, harm: _Harm) -> Finding:
    facts = table.inputs
    text = f"the inputs are not scaled: root mean square {table.size:.3g}, from {facts['min']:.3g} "
    text += f"to {facts['max']:.3g}"
    if uneven > _TOLD:
        low, high = facts["scales"][1], facts["scales"][4]
        text += f", columns with deviations from {low:.2g} to {high:.3g}"
    evidence = [
        Evidence("root mean square of the inputs", round(table.size, 3), LARGE),
        Evidence("largest column over the median one", round(uneven, 2), UNEVEN),
    ]
    if pull is not None:
        text += f"; the first layer's weights are pulled {pull:.0f} times as hard as its bias"
        evidence.append(Evidence("gradient of weights over bias", round(pull, 2), PULL))
    return Finding(
        text=f"{text}; {harm.text}",
        line=table.line,
        place="inputs",
        severity="fault",
        confidence="strong",
        evidence=(*evidence, harm.evidence),
        excluded=_rivals(table),
        prescriptions=(
            Prescription(
                "standardise",
                "subtract the mean and divide by the deviation of the training rows, by column",
            ),
        ),
    )


def _rivals(table: Learned) -> tuple[Excluded, ...]:
    """Weights that begin too large would show in the layers behind the first, too."""
    gains = table.record.signals.get("activation.gain", {})
    inner = [begun(series) for place, series in gains.items() if place != table.first]
    known = [value for value in inner if value]
    end = ended(table.signal("prediction.top_share"))
    found = []
    if known:
        usual = round(median(known), 3)
        found.append(Excluded("A05", "gain of the layers behind the first", usual, 1.0))
    if end is not None and table.base is not None and table.base < 1:
        common = round(table.base, 3)
        found.append(Excluded("D06", "share of the commonest label", common, 0.75))
    return tuple(found)
