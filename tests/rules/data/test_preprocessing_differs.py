import pytest

from tests.rules.data.judging import epochs, judged_record
from tests.rules.data.training import groups, run
from tests.support import findings

LEFT_OUT = {"scale": 0.3, "shift": 0.1, "columns": 40.0}
TRAIN = [1.0] * 30
WORSE = [2.0, 2.0, 2.0]


def test_rows_that_are_judged_unscaled_are_found(tmp_path):
    def program():
        x, y = groups(rows=300)
        epochs(x[:220], y[:220], lambda: (40 * x[220:] + 90, y[220:]))

    (finding,) = findings("D13", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "their spread is 4" in finding.text
    assert "model(held_x)" in finding.line.text
    assert {one.code for one in finding.excluded} == {"R03", "D14"}


def test_rows_that_are_prepared_alike_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300)
        epochs(x[:220], y[:220], lambda: (x[220:], y[220:]))

    assert not findings("D13", run(program, tmp_path))


def test_training_rows_that_are_altered_differ_for_that_reason():
    fresh = {"repeated": 0, "expected": 800.0}
    assert findings("D13", judged_record(own=LEFT_OUT, losses=WORSE, train=TRAIN))
    assert not findings("D13", judged_record(own=LEFT_OUT | fresh, losses=WORSE, train=TRAIN))


def test_no_alteration_explains_rows_that_are_far_away():
    far = LEFT_OUT | {"repeated": 0, "expected": 800.0, "scale": 30.0}
    assert findings("D13", judged_record(own=far, losses=WORSE, train=TRAIN))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({"scale": 0.51}, False),
        ({"scale": 0.49}, True),
        ({"scale": 2.1}, True),
        ({"scale": 1.0, "shift": -0.45}, True),
        ({"scale": 1.0, "shift": 0.35}, False),
        ({"columns": 5.0}, False),
        ({"rows": 20}, False),
        ({"derived": 0.5}, False),
        ({"expected": None}, False),
        ({"scale": None, "shift": None}, False),
    ],
)
def test_how_far_is_far(own, found):
    record = judged_record(own=LEFT_OUT | own, losses=WORSE, train=TRAIN)
    assert bool(findings("D13", record)) is found


@pytest.mark.parametrize(
    ("losses", "found"),
    [((1.6, 1.6), True), ((1.4, 1.4), False), ((1.0, 2.0, 3.0, 4.0), False), ((), False)],
)
def test_the_model_must_do_worse_on_them_from_the_first_pass_on(losses, found):
    record = judged_record(own=LEFT_OUT, losses=losses, train=TRAIN * 2)
    assert bool(findings("D13", record)) is found


def test_losses_of_two_kinds_are_not_compared():
    record = judged_record(own=LEFT_OUT, losses=WORSE, train=TRAIN, inputs={"loss": "units"})
    assert not findings("D13", record)


def test_a_trial_beside_a_proper_set_is_passed_over():
    record = judged_record(own=LEFT_OUT, losses=WORSE, train=TRAIN)
    facts = {**record.of("overlap")[0].facts, "set": 3, "scale": 1.0, "shift": 0.0}
    record.apply({"e": "event", "kind": "overlap", "step": 1, "line": 1, "facts": facts})
    assert not findings("D13", record)
