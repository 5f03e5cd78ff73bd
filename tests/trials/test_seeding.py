"""Every arm of one seed draws the same random numbers, and those of another seed others."""

import random

import numpy as np
import pytest
import torch

from torchdx.treatments.site import Site
from torchdx.trials.seeding import Seeding


@pytest.fixture(autouse=True)
def _random_states_are_put_back():
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    torch.set_rng_state(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    random.setstate(before[2])


def drawn(program, seed: int, *, reseed: bool = False, steps=None) -> list[float]:
    """What a program draws from the three generators under a trial's seed."""
    site = Site()
    try:
        Seeding(site, seed, reseed=reseed)
        program()
        numbers = [] if steps is None else steps()
        return [*numbers, torch.rand(1).item(), np.random.rand(), random.random()]  # noqa: NPY002
    finally:
        site.close()


def by_position() -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)


def by_name() -> None:
    torch.manual_seed(seed=3)
    np.random.seed(seed=3)  # noqa: NPY002
    random.seed(a=3)


@pytest.mark.parametrize("program", [by_position, by_name])
def test_seed_0_is_the_program_as_it_is_written(program):
    program()
    alone = [torch.rand(1).item(), np.random.rand(), random.random()]  # noqa: NPY002
    assert drawn(program, 0) == alone


@pytest.mark.parametrize("program", [by_position, by_name])
def test_another_seed_is_added_to_the_programs_own(program):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    alone = [torch.rand(1).item(), np.random.rand(), random.random()]  # noqa: NPY002
    assert drawn(program, 2) == alone
    assert set(alone).isdisjoint(drawn(program, 1))


@pytest.mark.parametrize("program", [lambda: None, lambda: (random.seed(), np.random.seed())])  # noqa: NPY002
def test_a_program_without_a_seed_draws_the_same_with_each_of_the_trials(program):
    assert drawn(program, 0) == drawn(program, 0)
    assert set(drawn(program, 0)).isdisjoint(drawn(program, 1))


def test_seeds_beyond_the_range_are_the_programs_own_affair_with_seed_0():
    def far() -> None:
        torch.manual_seed(-1)
        random.seed(2**80)

    far()
    alone = torch.rand(1).item(), random.random()
    assert (drawn(far, 0)[0], drawn(far, 0)[2]) == alone
    assert drawn(far, 1) != drawn(far, 0)


def test_seeds_that_are_no_numbers_are_left():
    def texts() -> None:
        random.seed("text", 2)
        np.random.seed([1, 2])  # noqa: NPY002

    assert drawn(texts, 0)[1:] == drawn(texts, 4)[1:]


def test_generators_of_their_own_are_left():
    def own() -> list[float]:
        draw = torch.Generator().manual_seed(0)
        return [torch.rand(1, generator=draw).item(), np.random.default_rng(0).random()]

    assert drawn(lambda: None, 0, steps=own)[:2] == drawn(lambda: None, 7, steps=own)[:2]


def test_a_draw_too_many_is_made_up_for_at_the_next_step_where_that_is_asked_for():
    def training(*, draws: bool):
        def steps() -> list[float]:
            net = torch.nn.Linear(1, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
            seen = []
            for _ in range(3):
                seen += [torch.rand(1).item(), np.random.rand(), random.random()]  # noqa: NPY002
                if draws:
                    torch.rand(5)
                net(torch.ones(1)).sum().backward()
                optimizer.step()
            return seen

        return steps

    def series(seed: int, *, reseed: bool, draws: bool) -> list[float]:
        return drawn(by_position, seed, reseed=reseed, steps=training(draws=draws))

    assert series(0, reseed=True, draws=True) == series(0, reseed=True, draws=False)
    assert series(0, reseed=False, draws=True) != series(0, reseed=False, draws=False)
    assert len(set(series(0, reseed=True, draws=True))) == 12  # each step has numbers of its own
    assert set(series(1, reseed=True, draws=True)).isdisjoint(series(0, reseed=True, draws=True))
