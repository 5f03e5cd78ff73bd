"""What follows from the numbers of a trial: the interval, and the word."""

import math
import random
from dataclasses import replace
from statistics import fmean

import pytest

from torchdx.trials.measures import MEASURES
from torchdx.trials.verdict import (
    Outcome,
    compare,
    gained,
    interval,
    judge,
    settled,
    smallest,
    wanted,
)

LOSS = MEASURES["rows.loss"]  # lower is better, 0.02 counts
ACCURACY = MEASURES["validation.accuracy"]
OWN = MEASURES["rows.value"]  # relative


def test_the_subset_means_of_three_by_hand():
    # of all subsets of 1, 2, 6: 1, 1.5, 2, 3, 3.5, 4, 6; one of 8 pieces lies beyond each end
    found = interval([6.0, 1.0, 2.0])
    assert (found.mean, found.low, found.high) == (3.0, 1.0, 6.0)
    assert found.level == 1 - 2 / 8


def test_five_reach_from_the_least_to_the_greatest_and_eight_less_far():
    five = interval([3.0, 1.0, 2.0, 5.0, 4.0])
    assert (five.low, five.high, five.level, five.seeds) == (1.0, 5.0, 1 - 2 / 32, 5)
    eight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    means = sorted(
        fmean([v for i, v in enumerate(eight) if mask >> i & 1]) for mask in range(1, 256)
    )
    found = interval(eight)
    assert (found.low, found.high) == (means[11], means[-12])  # 12 of 256: the most below 5 %
    assert found.level == pytest.approx(1 - 24 / 256)


def test_few_or_none_have_no_limits():
    assert interval([2.0]).low == -math.inf
    assert interval([2.0]).high == math.inf
    assert math.isnan(interval([]).mean)
    assert interval([]).level == 0


@pytest.mark.parametrize("seeds", [5, 6, 9])
@pytest.mark.parametrize("shape", ["normal", "uniform", "cauchy", "two-sided"])
def test_no_limit_is_violated_more_often_than_one_time_in_twenty(seeds, shape):
    draw = random.Random(seeds)
    shapes = {
        "normal": lambda: draw.gauss(1.0, 1.0),
        "uniform": lambda: draw.uniform(0.0, 2.0),
        "cauchy": lambda: 1.0 + math.tan(math.pi * (draw.random() - 0.5)),
        "two-sided": lambda: 1.0 + draw.choice((-1, 1)) * draw.uniform(5.0, 6.0),
    }
    times = 1_000
    below = above = 0
    for _ in range(times):
        found = interval([shapes[shape]() for _ in range(seeds)])
        below += found.low > 1.0
        above += found.high < 1.0
    most = 0.05 + 3 * math.sqrt(0.05 * 0.95 / times)
    assert below / times <= most
    assert above / times <= most
    assert below + above > 0  # limits that are never violated would say nothing


def test_nor_of_many_seeds_of_which_subsets_are_drawn(monkeypatch):
    monkeypatch.setattr("torchdx.trials.verdict.DRAWS", 400)
    draw, times = random.Random(0), 400
    lows = [interval([draw.gauss(0.0, 1.0) for _ in range(14)]).low for _ in range(times)]
    missed = sum(low > 0 for low in lows) / times
    assert 0.02 < missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / times)
    assert interval([1.0] * 14).low == 1.0


def outcome(**changed) -> Outcome:
    """A cure: the treated loss is lower by 1 with every seed, than as it is and than advice."""
    facts = {
        "measure": LOSS,
        "values": arms([2.0, 2.1, 2.2, 2.3, 2.4], [1.0, 1.0, 1.1, 1.2, 1.3]),
        "fired": {
            "as it is": dict.fromkeys(range(5), True),
            "treated": dict.fromkeys(range(5), False),
        },
        "noise": 0.0,
        "acted": True,
        "controls": ("lr / 3",),
    }
    return Outcome(**{**facts, **changed})


def arms(as_is: list[float], treated: list[float], control: list[float] | None = None) -> dict:
    own = {"as it is": as_is, "treated": treated, "lr / 3": control or as_is}
    return {name: dict(enumerate(values)) for name, values in own.items()}


def word(**changed) -> tuple[str, str]:
    found = judge(outcome(**changed))
    return found.word, found.because


def test_cured_is_better_than_as_it_is_and_than_advice_with_the_finding_gone():
    assert word() == ("cured", "")
    assert compare(outcome(), "treated", "as it is").gain.mean == pytest.approx(1.08)


def test_helped_where_advice_does_as_well_or_the_finding_stays():
    same = arms([2.0, 2.1, 2.2, 2.3, 2.4], [1.0] * 5, [1.0, 1.0, 1.0, 1.0, 1.1])
    assert word(values=same) == ("helped", "not proven better than `lr / 3`")
    fired = {"as it is": {0: True}, "treated": {0: False, 1: True}}
    assert word(fired=fired) == ("helped", "the finding is still told of 1 treated run")


def test_worse_and_no_effect_and_what_counts():
    assert word(values=arms([1.0] * 4 + [1.1], [2.0] * 5)) == ("worse", "")
    close = arms([1.0, 1.1, 1.2, 1.3, 1.4], [1.01, 1.09, 1.2, 1.3, 1.4])
    assert word(values=close) == ("no effect", "less than 0.02 either way")
    assert smallest(outcome(measure=OWN)) == pytest.approx(0.05 * 2.2)
    assert smallest(outcome(noise=0.3)) == 0.3


def test_more_is_better_where_the_measure_says_so():
    higher = arms([0.5, 0.51, 0.5, 0.5, 0.5], [0.9] * 5)
    assert word(measure=ACCURACY, values=higher)[0] == "cured"
    assert word(values=higher)[0] == "worse"


def test_seeds_that_disagree_tell_how_many_would_do():
    split = arms([2.0] * 5, [1.0, 1.0, 1.0, 1.0, 2.5])
    said = word(values=split)
    assert said[0] == "cannot tell"
    assert said[1].startswith("better with 4 seeds, worse with 1; about ")
    few = arms([2.0, 2.1], [1.0, 2.6])
    assert word(values=few)[1].startswith("better with 1 seed, worse with 1; about ")


def test_few_seeds_cannot_decide_however_clear():
    assert word(values=arms([2.0, 2.1, 2.2, 2.3], [1.0, 1.1, 1.0, 1.0])) == (
        "cannot tell",
        "4 seeds cannot decide at 95%: --seeds 5 or more",
    )
    assert word(values=arms([2.0], [1.0]))[1].startswith("1 seed cannot decide")
    assert word(values=arms([], []))[1].startswith("no seed of both")


def test_an_effect_within_the_noise_is_none():
    assert word(noise=1.5)[0] == "no effect"  # 1.08 is less than two equal runs differ by
    assert word(noise=0.95)[0] == "cured"
    rough = arms([2.0] * 4 + [2.1], [1.0, 1.0, 1.0, 1.0, 1.7])
    said = "better with 4 seeds, worse with 0, within the noise with 1; about 6 seeds would decide"
    assert word(values=rough, noise=0.5) == ("cannot tell", f"{said}, or more steps")


def test_one_run_over_and_over_proves_nothing():
    assert word(values=arms([2.0] * 5, [1.0] * 5)) == (
        "cannot tell",
        "every seed gave the same run: the program fixes its own randomness",
    )


def test_what_is_not_reproduced_or_not_acted_on_is_no_trial():
    assert word(fired={"as it is": dict.fromkeys(range(5), False)})[1].startswith("not reproduced")
    assert word(fired={"as it is": {0: False, 1: True}, "treated": {0: False}})[0] == "cured"
    assert word(acted=False) == ("cannot tell", "the treatment found nothing to act on")


def test_a_treatment_that_breaks_the_program_is_told():
    broken = {"treated": frozenset({2}), "as it is": frozenset()}
    assert word(failed=broken) == (
        "cannot tell",
        "1 treated run failed, and the same as it is did not",
    )
    assert word(failed={"treated": frozenset({2}), "as it is": frozenset({2})})[0] == "cured"


def test_advice_that_breaks_the_program_is_beaten():
    known = outcome().values
    lost = {**known, "lr / 3": {0: 2.0, 1: 2.0, 2: 2.0}}
    assert word(values=lost) == ("helped", "not proven better than `lr / 3`")
    failed = {"lr / 3": frozenset({3, 4})}
    assert word(values=lost, failed=failed) == ("cured", "")
    near = {**known, "lr / 3": {0: 2.0, 1: 2.0, 2: 1.0}}
    assert word(values=near, failed=failed)[0] == "helped"


def test_settled_only_where_nothing_but_cannot_tell_is_left():
    both = outcome(values=arms([2.0, 2.0], [1.0, 2.5]))
    assert settled(both, 5)
    assert not settled(both, 6)  # six may leave one out
    assert not settled(outcome(values=arms([2.0, 2.0], [1.0, 1.0])), 5)
    near = outcome(values=arms([2.0, 2.0], [1.999, 2.001]))
    assert not settled(near, 5)  # `no effect` may still follow
    assert not settled(replace(both, noise=0.6), 5)


def test_a_trial_that_is_settled_never_decides_with_more_seeds():
    draw = random.Random(0)
    for _ in range(300):
        first = [draw.gauss(0.1, 1.0) * draw.choice((0.01, 1.0)) for _ in range(5)]
        for ran in range(2, 5):
            until = outcome(values=arms([0.0] * ran, [-g for g in first[:ran]]))
            if settled(until, 5):
                whole = outcome(values=arms([0.0] * 5, [-g for g in first]))
                assert judge(whole).word == "cannot tell"


def test_the_seeds_that_are_wanted_grow_with_the_spread():
    narrow, wide = interval([1.0, 1.2, 0.8, 1.1, -0.1]), interval([3.0, -2.0, 0.8, 1.1, 1.1])
    assert 5 < wanted(narrow) < wanted(wide) <= 10_000
    assert wanted(interval([1.0, -1.0])) == 20
    assert wanted(interval([1.0, 1.1] * 4)) == 9  # more than there are


def test_gains_are_of_seeds_that_both_arms_have():
    own = outcome(values={"as it is": {0: 2.0, 1: 2.0}, "treated": {1: 1.5, 2: 0.0}})
    assert gained(own, "treated", "as it is") == {1: 0.5}
    assert gained(own, "treated", "lr x 3") == {}
