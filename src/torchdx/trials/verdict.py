"""What a trial has shown: effects, their intervals, and one word.

The interval of a mean over seeds is exact and needs no normal distribution: where differences are
symmetric about the effect, the means of all 2^n - 1 subsets of n differences part the line into
pieces that hold it equally often (Hartigan 1969, Using subsample values as typical values, JASA 64,
section 3). From 13 seeds on subsets are drawn at random, which hold it as often (Hemerik and Goeman
2018, Exact testing with random permutations, TEST 27).
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Literal

from torchdx.trials.measures import Measure

Word = Literal["cured", "helped", "no effect", "worse", "cannot tell"]

LEVEL = 0.95
EXACT = 12  # seeds: 4,095 subsets
DRAWS = 4_000  # subsets of more
ALL_ON_ONE_SIDE = 5  # seeds: 1 of 32 by chance, below 1 - LEVEL


@dataclass(frozen=True)
class Interval:
    """Where a mean difference lies: one-sided limits at 95 % each, where the seeds allow them.

    mean     of the differences; `seeds`: how many there are
    level    that low and high together reach, 0 to 1
    """

    mean: float
    low: float
    high: float
    level: float
    seeds: int


def interval(differences: Sequence[float]) -> Interval:
    """Of the mean of paired differences."""
    n = len(differences)
    if n == 0:
        return Interval(math.nan, -math.inf, math.inf, 0.0, 0)
    mean = fmean(differences)
    if n == 1:
        return Interval(mean, -math.inf, math.inf, 0.0, 1)
    values = _subset_means(differences) if n <= EXACT else _drawn_means(differences)
    pieces = len(values) + 1
    left = max(1, int((1 - LEVEL) * pieces))  # one-sided on either hand
    return Interval(mean, values[left - 1], values[-left], 1 - 2 * left / pieces, n)


def _subset_means(differences: Sequence[float]) -> list[float]:
    n = len(differences)
    subsets = (s for size in range(1, n + 1) for s in combinations(differences, size))
    return sorted(fmean(subset) for subset in subsets)


def _drawn_means(differences: Sequence[float]) -> list[float]:
    draw = random.Random(0)  # noqa: S311  # no secret
    n = len(differences)
    means: list[float] = []
    while len(means) < DRAWS - 1:
        chosen = draw.getrandbits(n)
        if chosen:
            means.append(fmean(d for i, d in enumerate(differences) if chosen >> i & 1))
    return sorted(means)


@dataclass(frozen=True)
class Compared:
    """Two arms over the same seeds: by how much the first is better, in units of the measure."""

    arm: str
    against: str
    gain: Interval

    def better(self, noise: float) -> bool:
        """Beyond what two runs of the same differ by."""
        return self.gain.seeds >= ALL_ON_ONE_SIDE and self.gain.low > noise

    def worse(self, noise: float) -> bool:
        """The same, the other way."""
        return self.gain.seeds >= ALL_ON_ONE_SIDE and self.gain.high < -noise


@dataclass(frozen=True)
class Outcome:
    """All numbers of a trial that a verdict rests on.

    values   arm -> seed -> value of the measure
    fired    arm -> seed -> whether the finding was told of that run
    noise    largest difference between two runs as it is with one seed
    acted    whether the treatment changed anything
    failed   arm -> seeds whose run failed: it raised, was killed, or set aside
    """

    measure: Measure
    values: Mapping[str, Mapping[int, float]]
    fired: Mapping[str, Mapping[int, bool]]
    noise: float
    acted: bool
    treated: str = "treated"
    as_is: str = "as it is"
    controls: tuple[str, ...] = ()
    failed: Mapping[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One word, why, and the comparisons behind it."""

    word: Word
    because: str
    effect: Compared
    rivals: tuple[Compared, ...]


def compare(outcome: Outcome, arm: str, against: str) -> Compared:
    """By how much `arm` is better, over the seeds that both have."""
    return Compared(arm, against, interval(list(gained(outcome, arm, against).values())))


def gained(outcome: Outcome, arm: str, against: str) -> dict[int, float]:
    """Seed -> by how much `arm` is better, of the seeds that both have."""
    sign = 1.0 if outcome.measure.higher else -1.0
    own, other = outcome.values.get(arm, {}), outcome.values.get(against, {})
    return {seed: sign * (own[seed] - other[seed]) for seed in own if seed in other}


def judge(outcome: Outcome) -> Verdict:
    """The verdict, by the rule that `docs/how-it-works.md` states."""
    effect = compare(outcome, outcome.treated, outcome.as_is)
    rivals = tuple(compare(outcome, outcome.treated, c) for c in outcome.controls)
    word, because = _word(outcome, effect, rivals)
    return Verdict(word, because, effect, rivals)


def _word(outcome: Outcome, effect: Compared, rivals: Sequence[Compared]) -> tuple[Word, str]:
    if because := next(_obstacles(outcome, effect.gain), ""):
        return "cannot tell", because
    if effect.worse(outcome.noise):
        return "worse", ""
    if not effect.better(outcome.noise):
        return _undecided(outcome, effect.gain)
    doubts = list(_doubts(outcome, rivals))
    return ("helped", doubts[0]) if doubts else ("cured", "")


def _obstacles(outcome: Outcome, gain: Interval) -> Iterator[str]:
    """What stands in the way of any verdict."""
    told = outcome.fired.get(outcome.as_is, {})
    if told and not any(told.values()):
        yield "not reproduced: no run as it is showed the finding again"
    if not outcome.acted:
        yield "the treatment found nothing to act on"
    if broken := len(_failed(outcome, outcome.treated) - _failed(outcome, outcome.as_is)):
        yield f"{broken} treated run{_s(broken)} failed, and the same as it is did not"
    if because := too_few(gain.seeds):
        yield _disagreement(outcome, gain) if _both_ways(outcome) else because
    if _one_run(outcome):
        yield "every seed gave the same run: the program fixes its own randomness"


def _doubts(outcome: Outcome, rivals: Sequence[Compared]) -> Iterator[str]:
    """What keeps a better arm from being a cure."""
    for rival in rivals:
        if not _beaten(outcome, rival):
            yield f"not proven better than `{rival.against}`"
    if still := sum(outcome.fired.get(outcome.treated, {}).values()):
        yield f"the finding is still told of {still} treated run{_s(still)}"


def _beaten(outcome: Outcome, rival: Compared) -> bool:
    """Whether the treatment is better; where the rival failed, it is."""
    if rival.better(outcome.noise):
        return True
    own, other = outcome.values.get(rival.arm, {}), outcome.values.get(rival.against, {})
    lost = _failed(outcome, rival.against) & (own.keys() - other.keys())
    gains = gained(outcome, rival.arm, rival.against).values()
    return (
        bool(lost)
        and len(lost) + len(gains) >= ALL_ON_ONE_SIDE
        and all(gain > outcome.noise for gain in gains)
    )


def _failed(outcome: Outcome, arm: str) -> frozenset[int]:
    return outcome.failed.get(arm, frozenset())


def _undecided(outcome: Outcome, gain: Interval) -> tuple[Word, str]:
    counts = smallest(outcome)
    if -counts < gain.low and gain.high < counts:
        return "no effect", f"less than {counts:.2g} either way"
    return "cannot tell", _disagreement(outcome, gain)


def smallest(outcome: Outcome) -> float:
    """The smallest difference that counts, in units of the measure."""
    measure = outcome.measure
    own = outcome.values.get(outcome.as_is, {})
    base = abs(fmean(own.values())) if measure.relative and own else 1.0
    return max(measure.counts * base, outcome.noise)


def _one_run(outcome: Outcome) -> bool:
    own = set(outcome.values.get(outcome.as_is, {}).values())
    treated = set(outcome.values.get(outcome.treated, {}).values())
    return len(own) == 1 and len(treated) == 1


def too_few(seeds: int) -> str:
    """Why so many seeds cannot lead to a verdict, whatever they show; empty where they can."""
    if seeds >= ALL_ON_ONE_SIDE:
        return ""
    ran = f"{seeds} seed{_s(seeds)}" if seeds else "no seed of both"
    return f"{ran} cannot decide at {LEVEL:.0%}: --seeds {ALL_ON_ONE_SIDE} or more"


def _disagreement(outcome: Outcome, gain: Interval) -> str:
    """How the seeds came out, and what a decision would take, were they to go on so."""
    gains = list(gained(outcome, outcome.treated, outcome.as_is).values())
    better = sum(g > outcome.noise for g in gains)
    worse = sum(g < -outcome.noise for g in gains)
    even = len(gains) - better - worse
    told = [f"better with {better} seed{_s(better)}", f"worse with {worse}"]
    told += [f"within the noise with {even}"] if even else []
    return f"{', '.join(told)}; about {wanted(gain)} seeds would decide, or more steps"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def wanted(gain: Interval) -> int:
    """Seeds at which a mean of the same size and spread would lie 1.65 standard errors from 0."""
    spread = max(gain.high - gain.mean, gain.mean - gain.low) * math.sqrt(gain.seeds) / 1.65
    if not gain.mean:
        return 10 * gain.seeds
    if not math.isfinite(spread):
        return ALL_ON_ONE_SIDE
    fewest = max(gain.seeds + 1, ALL_ON_ONE_SIDE + 1, math.ceil((1.65 * spread / gain.mean) ** 2))
    return min(10_000, fewest)


def settled(outcome: Outcome, planned: int) -> bool:
    """Whether no further seed can make the verdict anything but `cannot tell`.

    With as few seeds as five, all must lie on one side for a verdict, or all within what counts:
    once one lies on each side, and one beyond, the rest cannot change it. Stated before the trial
    starts; it ends no trial in favour of the treatment.
    """
    gains = gained(outcome, outcome.treated, outcome.as_is).values()
    beyond = any(abs(gain) >= smallest(outcome) for gain in gains)
    return planned <= ALL_ON_ONE_SIDE and beyond and _both_ways(outcome)


def _both_ways(outcome: Outcome) -> bool:
    """Whether some seeds are better and some worse, beyond the noise."""
    gains = gained(outcome, outcome.treated, outcome.as_is).values()
    return any(g > outcome.noise for g in gains) and any(g < -outcome.noise for g in gains)
