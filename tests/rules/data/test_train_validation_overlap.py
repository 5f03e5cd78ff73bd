import pytest
import torch

from tests.rules.data.judging import epochs, judge, judged_record
from tests.rules.data.records import PHASE
from tests.rules.data.training import groups, run
from tests.support import findings

COPIED = {"shared": 60, "clean": 0.0, "equal": 0.3, "near": 0.0, "covered": 0.1}


def test_rows_that_were_learned_from_before_are_found(tmp_path):
    def program():
        x, y = groups(rows=240)
        epochs(x, y, lambda: (x[:80], y[:80]))

    (finding,) = findings("D10", run(program, tmp_path))
    assert finding.severity == "fault"
    assert finding.text.startswith("80 of the 80 different rows that the model is judged on")
    assert "model(held_x)" in finding.line.text


def test_rows_drawn_twice_before_the_split_are_found(tmp_path):
    def program():
        x, y = groups(rows=200)
        rows = torch.cat([torch.arange(200), torch.arange(0, 200, 2)])[torch.randperm(300)]
        epochs(x[rows[:220]], y[rows[:220]], lambda: (x[rows[220:]], y[rows[220:]]))

    (finding,) = findings("D10", run(program, tmp_path))
    assert 0.2 < finding.evidence[0].value < 0.8


def test_a_proper_split_is_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300)
        epochs(x[:220], y[:220], lambda: (x[220:], y[220:]))

    assert not findings("D10", run(program, tmp_path))


def test_one_line_that_scores_both_parts_is_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300)
        epochs(
            x[:220],
            y[:220],
            lambda: (x[220:], y[220:]) if torch.rand(()) < 0.5 else (x[:60], y[:60]),
            passes=8,
        )

    assert not findings("D10", run(program, tmp_path))


def test_rows_of_little_information_are_alike_by_chance(tmp_path):
    def program():
        x = torch.randint(0, 3, (300, 5)).float()
        y = x.sum(1).long() % 4
        epochs(x[:220], y[:220], lambda: (x[220:], y[220:]))

    assert not findings("D10", run(program, tmp_path))


def test_folds_with_new_models_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=240)
        for fold in range(3):
            held = torch.arange(240) % 3 == fold
            epochs(x[~held], y[~held], lambda held=held: (x[held], y[held]), passes=2)

    assert not findings("D10", run(program, tmp_path))


def test_rows_that_are_judged_before_they_are_learned_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=240)
        model = torch.nn.Linear(6, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for rows in torch.randperm(240).split(20):
            judge(model, x[rows], y[rows])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    assert not findings("D10", run(program, tmp_path))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, True),
        ({"shared": 19}, False),
        ({"shared": 21}, True),
        ({"near": 0.1}, False),
        ({"clean": 0.2}, False),
        ({"covered": 0.9}, False),
        ({"recurring": 0.3}, False),
        ({"recurring": None, "labelled": 0}, False),
    ],
)
def test_what_must_hold_for_a_leak(own, found):
    assert bool(findings("D10", judged_record(own=COPIED | own))) is found


def test_the_data_set_that_is_learned_from_is_only_worth_a_note():
    record = judged_record(own=COPIED | {"set": 2})
    record.apply({**PHASE, "loader": 2})
    (finding,) = findings("D10", record)
    assert finding.severity == "note"
