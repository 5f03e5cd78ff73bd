import pytest

from torchdx.lab.claims import above, below, equal


@pytest.mark.parametrize("make", [above, below, equal])
def test_a_claim_in_short_says_all_that_one_in_full_does(make):
    claim = make("so", "It is so.", len, 2.0, 0.5, "nats", published=3.0, control=True)
    assert claim.direction == make.keywords["direction"]
    assert (claim.name, claim.sentence, claim.statistic) == ("so", "It is so.", len)
    assert (claim.target, claim.delta, claim.unit) == (2.0, 0.5, "nats")
    assert (claim.published, claim.control) == (3.0, True)


def test_directions_are_what_their_names_say():
    found = [make("so", "So.", len, 0.0, 0.1, "").direction for make in (above, below, equal)]
    assert found == ["above", "below", "equal"]
