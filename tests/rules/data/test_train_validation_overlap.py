import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


def soft_loss(scores, labels, rows, teacher):
    with torch.no_grad():
        soft = teacher.eval()(rows).softmax(1)
    return F.cross_entropy(scores, soft) + F.cross_entropy(scores, labels)


def distilled():
    """A teacher is asked about each batch of its student, also about rows that it learned from."""
    x, y = groups(rows=240)
    nets = [nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 4)) for _ in range(2)]
    teacher, student = nets
    for net, rows in ((teacher, slice(0, 140)), (student, slice(100, 240))):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(x[rows], y[rows]), 20, shuffle=True)
        for _ in range(2):
            for batch, labels in loader:
                optimizer.zero_grad()
                if net is teacher:
                    loss = F.cross_entropy(net(batch), labels)
                else:
                    loss = soft_loss(net(batch), labels, batch, teacher)
                loss.backward()
                optimizer.step()


def test_a_teacher_of_rows_that_it_learned_from_is_not_judged(tmp_path):
    record = run(distilled, tmp_path)
    (asked,) = [e for e in record.of("overlap") if e.facts["shared"]][-1:]
    assert asked.facts["labelled"], asked.facts
    assert not findings("D10", record)


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


def folds(count, *, anew=lambda _model: None, splits=None, passes=3):
    """Trains one model through folds, each judged after each of its epochs."""
    x, y = groups(rows=240)
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    for fold in range(count):
        held = torch.arange(240) % count == fold if splits is None else splits[fold]
        rows = (~held).nonzero().flatten()
        anew(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(passes):
            for batch in rows[torch.randperm(len(rows))].split(20):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
            judge(model, x[held], y[held])


@pytest.mark.parametrize("count", [3, 5])
def test_one_model_that_goes_through_all_folds_is_found(tmp_path, count):
    (finding,) = findings("D10", run(lambda: folds(count), tmp_path))
    assert finding.severity == "fault"
    assert "sets of rows in turn" in finding.text
    assert finding.prescriptions[0].change == "fresh_model"


def test_folds_whose_weights_are_drawn_anew_are_passed_over(tmp_path):
    def anew(model):
        model[0].reset_parameters()
        model[2].reset_parameters()

    assert not findings("D10", run(lambda: folds(5, anew=anew), tmp_path))


def test_folds_whose_first_weights_are_put_back_are_passed_over(tmp_path):
    first = {}

    def anew(model):
        if not first:
            first.update({name: value.clone() for name, value in model.state_dict().items()})
        model.load_state_dict(first)

    assert not findings("D10", run(lambda: folds(5, anew=anew), tmp_path))


def test_tasks_that_are_learned_one_after_another_are_passed_over(tmp_path):
    later, earlier = torch.arange(240) >= 120, torch.arange(240) < 120
    assert not findings("D10", run(lambda: folds(2, splits=[later, earlier], passes=6), tmp_path))


FRESH = {"rows": 50, "at": 40, "fresh": True, "joined": 40, "learned": 0, "before": 0}
SPENT = {"rows": 50, "at": 80, "fresh": False, "joined": 0, "learned": 45, "before": 40}
MEASURED = {"hits": 30, "since": 12, "again": 0.7}


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, True),
        ({"learned": 9}, False),  # rows that equal others by chance
        ({"before": 19, "hits": 19}, False),  # too few batches to go by
        ({"hits": 4}, False),  # its rows were rare before: 12 batches without them are no wonder
        ({"hits": 4, "since": 100}, True),
        ({"since": 0}, False),  # training rows that are scored are learned from all the time
        ({"again": 0.0}, False),  # another task
    ],
)
def test_what_must_hold_for_a_set_that_was_left_out_in_turn(own, found):
    record = judged_record()
    turns = [FRESH | {"hits": 0, "since": 0, "again": 0.0}, SPENT | MEASURED | own]
    facts = {"model": "", "turns": turns}
    record.apply({"e": "event", "kind": "turns", "step": 90, "line": 1, "facts": facts})
    assert bool(findings("D10", record)) is found


def test_no_set_is_left_out_in_turn_when_none_joined_the_training():
    record = judged_record()
    turns = [FRESH | MEASURED | {"joined": 0}, SPENT | MEASURED]
    facts = {"model": "", "turns": turns}
    record.apply({"e": "event", "kind": "turns", "step": 90, "line": 1, "facts": facts})
    assert not findings("D10", record)
