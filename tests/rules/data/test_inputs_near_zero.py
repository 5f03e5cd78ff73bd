import pytest

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

TINY = {"mean": 0.01, "std": 0.01, "min": 0.0, "max": 0.02}
FLAT = [2.3] * 40


def tiny(spread=0.03, losses=FLAT, **inputs):
    signals = {"activation.std": ("0", [0.1] * 3), "row.spread": ("0", [spread] * 3)}
    return made(inputs=TINY | inputs, signals=signals, losses=losses)


def test_inputs_that_the_bias_drowns_are_found_with_their_size(tmp_path):
    def program():
        x, y = groups()
        epochs(x / 500, y, passes=2)

    (finding,) = findings("D02", run(program, tmp_path))
    assert finding.severity == "fault"
    assert finding.confidence == "strong"
    assert "root mean square 0.002" in finding.text
    assert "after `0`" in finding.text
    assert "loss(model(x[rows]), y[rows])" in finding.line.text
    assert {rival.code for rival in finding.excluded} == {"D03", "A06"}


def test_inputs_of_unit_size_are_passed_over(tmp_path):
    assert not findings("D02", run(lambda: epochs(*groups(), passes=2), tmp_path))


@pytest.mark.parametrize(("spread", "found"), [(0.09, True), (0.11, False)])
def test_what_the_first_layer_makes_of_the_rows_decides(spread, found):
    assert bool(findings("D02", tiny(spread))) is found


def test_rows_of_unit_length_are_small_and_told_apart():
    assert not findings("D02", tiny(0.6, mean=0.0, std=0.036))


@pytest.mark.parametrize(("size", "found"), [(0.09, True), (0.11, False)])
def test_inputs_of_a_tenth_are_the_limit(size, found):
    assert bool(findings("D02", tiny(mean=0.0, std=size))) is found


def test_rows_that_are_alike_are_not_small_for_it():
    assert not findings("D02", tiny(0.05, mean=0.05, std=0.001))


def test_a_net_that_learned_in_spite_of_it_gets_a_note():
    (finding,) = findings("D02", tiny(losses=[2.3] * 10 + [0.3] * 30))
    assert finding.severity == "note"


def test_without_a_measured_layer_nothing_is_told():
    assert not findings("D02", made(inputs=TINY, losses=FLAT))
