"""Every sick program is named first, on the right line; no healthy twin is alarmed."""

import pytest

from faults.scoreboard import Fault, faults, try_out


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: f"{fault.code}-{fault.name}")
def test_sick_program_is_named_first_and_its_twin_is_silent(fault: Fault):
    if not fault.runnable:
        pytest.skip(f"no {fault.data} on this machine (make data)")
    outcome = try_out(fault)
    assert outcome.named_first, f"found {outcome.codes}, first {outcome.first!r}"
    assert outcome.line_right
    assert set(fault.also) <= set(outcome.codes)
    assert outcome.alarms == ()
