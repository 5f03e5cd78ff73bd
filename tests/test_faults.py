"""Every sick program is named first, on the right line; no healthy twin is alarmed."""

import pytest

from faults.scoreboard import Fault, faults, try_out


def _marked(fault: Fault):
    """Subtle programs, and those on 60,000 images, only with the slow tests."""
    long = fault.strength == "subtle" or fault.data.startswith("fashion")
    slow = [pytest.mark.slow] if long else []
    return pytest.param(fault, id=f"{fault.code}-{fault.name}", marks=slow)


@pytest.mark.parametrize("fault", list(map(_marked, faults())))
def test_sick_program_is_named_first_and_its_twin_is_silent(fault: Fault):
    if not fault.runnable:
        pytest.skip(f"no {fault.data} on this machine (make data)")
    outcome = try_out(fault)
    assert outcome.alarms == ()
    if fault.missed:
        pytest.xfail(f"not named first: {fault.missed}")
    assert outcome.named_first, f"found {outcome.codes}, first {outcome.first!r}"
    assert outcome.line_right
    assert set(fault.also) <= set(outcome.codes)
