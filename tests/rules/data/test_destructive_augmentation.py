import pytest
import torch

from tests.rules.data.judging import epochs, judged_record
from tests.rules.data.training import groups, run
from tests.support import findings
from torchdx.record.model import Model

FRESH = {"repeated": 2, "expected": 600.0, "columns": 20.0}
HIDDEN = {"agreement": 0.35, "sure": 0.05}  # 0.15 of what judged rows have beyond chance
LESS = {"agreement": 0.7, "sure": 0.4}  # 0.69 of it


def covered(x):
    """Every element but a few replaced by a large number."""
    return torch.where(torch.rand_like(x) < 0.85, 3.0 + torch.randn_like(x), x)


def test_rows_that_are_altered_beyond_recognition_are_found(tmp_path):
    def program():
        x, y = groups(rows=300)
        epochs(x[:200], y[:200], lambda: (x[200:], y[200:]), passes=6, altered=covered)

    (finding,) = findings("D14", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "rows are altered anew in each epoch (0 of" in finding.text
    assert "model(altered(x[rows]))" in finding.line.text


def test_a_little_noise_is_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300)
        held = x[200:], y[200:]
        mild = lambda rows: rows + 0.1 * torch.randn_like(rows)  # noqa: E731
        epochs(x[:200], y[:200], lambda: held, passes=6, altered=mild)

    assert not findings("D14", run(program, tmp_path))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, True),
        ({"repeated": 400}, False),
        ({"expected": None}, False),
        ({"columns": 3.0}, False),
        ({"recurring": 0.0}, False),
    ],
)
def test_rows_must_be_made_anew_and_differ_from_the_judged(own, found):
    assert bool(findings("D14", judged_record(own=FRESH | own, near=HIDDEN))) is found


@pytest.mark.parametrize(
    ("train", "near", "found"),
    [(1.7, {}, True), (1.6, {}, False), (1.7, {"agreement": 0.8}, False)],
)
def test_rows_that_are_half_hidden_need_the_loss_to_tell_the_same(train, near, found):
    record = judged_record(own=FRESH, near=LESS | near, losses=[1.0, 1.0, 1.0], train=[train] * 30)
    told = findings("D14", record)
    assert bool(told) is found
    assert all(finding.confidence == "weak" for finding in told)


def test_dropout_explains_a_higher_training_loss():
    record = judged_record(own=FRESH, near=LESS, losses=[1.0, 1.0], train=[2.0] * 30)
    record.models.append(Model(1, "Net", None, {}, frozenset(), {"": "Net", "1": "Dropout"}))
    assert not findings("D14", record)


def test_labels_that_stray_are_another_cause():
    assert not findings("D14", judged_record(own=FRESH, near={**LESS, "stray": 0.4}))


def test_without_classes_nothing_is_said():
    assert not findings("D14", judged_record(own=FRESH, near={**HIDDEN, "numbers": True}))
