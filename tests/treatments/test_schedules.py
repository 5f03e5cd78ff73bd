import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchdx.errors import CallError
from torchdx.treatments.schedules import combined, cosine, linear, over

values = st.floats(-10, 10, allow_nan=False)
positions = st.floats(0, 1)
parts = st.lists(st.integers(1, 1000), min_size=1, max_size=6)


def shares_of(counts):
    return [count / sum(counts) for count in counts]


def chain(counts, points, kind=cosine):
    """Phases of which each begins with what the one before ends on."""
    return combined(shares_of(counts), [kind(a, b) for a, b in pairwise(points)])


@st.composite
def chains(draw):
    counts = draw(parts)
    many = len(counts) + 1
    return counts, draw(st.lists(values, min_size=many, max_size=many))


@given(chains(), st.sampled_from([cosine, linear]))
def test_it_begins_with_the_first_value_and_ends_on_the_last_exactly(given_, kind):
    counts, points = given_
    schedule = chain(counts, points, kind)
    assert schedule(0.0) == points[0]
    assert schedule(1.0) == points[-1]


@given(chains())
def test_at_each_join_the_next_phase_begins_where_the_last_one_ended(given_):
    counts, points = given_
    schedule, joins = chain(counts, points), shares_of(counts)
    at = 0.0
    for share, point in zip(joins[:-1], points[1:-1], strict=True):
        at += share
        for position in (math.nextafter(at, 0), at, math.nextafter(at, 1)):
            assert schedule(position) == pytest.approx(point, abs=1e-6)


@given(chains(), positions)
def test_every_value_lies_between_those_of_its_phases(given_, position):
    counts, points = given_
    assert min(points) - 1e-9 <= chain(counts, points)(position) <= max(points) + 1e-9


@given(chains(), st.floats(allow_nan=False))
def test_beyond_its_ends_the_ends_hold(given_, position):
    counts, points = given_
    schedule = chain(counts, points)
    assert schedule(position) == schedule(min(1.0, max(0.0, position)))


@given(parts, values, positions)
def test_how_the_whole_is_shared_out_is_nothing_to_a_constant(counts, value, position):
    assert chain(counts, [value] * (len(counts) + 1))(position) == pytest.approx(value)


def test_the_published_example_rises_and_falls():
    schedule = combined([0.3, 0.7], [cosine(0.3, 0.6), cosine(0.6, 0.2)])
    assert [schedule(p) for p in (0.0, 0.15, 0.3, 0.65, 1.0)] == pytest.approx(
        [0.3, 0.45, 0.6, 0.4, 0.2]
    )


def test_shares_that_miss_one_by_rounding_alone_are_taken():
    assert sum([0.2, 0.7, 0.1]) != 1
    assert combined([0.2, 0.7, 0.1], [linear(0, 1)] * 3)(1.0) == 1


@pytest.mark.parametrize("shares", [[0.3, 0.6], [0.0, 1.0], [1.5, -0.5], [1.0], []])
def test_shares_that_are_no_whole_or_too_few_are_refused(shares):
    with pytest.raises(CallError, match="shares"):
        combined(shares, [linear(0, 1)] * 2)


def test_an_optimizer_is_taken_through_it_and_then_stays_at_its_end():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rate = combined([0.5, 0.5], [linear(0.0, 1.0), linear(1.0, 0.25)])
    scheduler = over(optimizer, rate, steps=4)
    seen = []
    for _ in range(7):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == [0.0, 0.5, 1.0, 0.625, 0.25, 0.25, 0.25]


def test_a_schedule_over_no_steps_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(CallError, match="0 steps"):
        over(optimizer, linear(0, 1), steps=0)
