import pytest
import torch
from torch.nn import functional

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings

TOLD = {"columns": [3], "count": 1, "of": 20, "next": 0.9}


def test_a_column_that_holds_the_label_is_found(tmp_path):
    def program():
        x, y = groups()
        epochs(torch.cat([x, y[:, None] / 2 - 1], 1), y)

    (finding,) = findings("D11", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert finding.text.startswith("column 6 of the inputs (counted from 0) follows from the label")
    assert "over 240 rows it has one value in each class" in finding.text


def test_a_band_of_a_number_is_found(tmp_path):
    def program():
        x = torch.randn(240, 5)
        y = x.sum(1, keepdim=True) + torch.randn(240, 1)
        band = torch.bucketize(y, torch.tensor([-1.0, 1.0])).float()
        epochs(torch.cat([x, band], 1), y, loss=functional.mse_loss, outputs=1)

    (finding,) = findings("D11", run(program, tmp_path))
    assert finding.place == "column 5"
    assert "never turns as the target rises" in finding.text


def test_features_that_tell_much_are_passed_over(tmp_path):
    assert not findings("D11", run(lambda: epochs(*groups()), tmp_path))


def test_a_number_whose_sign_is_the_label_is_passed_over(tmp_path):
    def program():
        x = torch.randn(240, 5)
        epochs(x, (x[:, 0] > 0).long())

    assert not findings("D11", run(program, tmp_path))


def test_a_flag_of_few_rows_goes_with_the_label_by_chance(tmp_path):
    def program():
        x = torch.randn(240, 5)
        y = x.sum(1, keepdim=True)
        x[:, 4] = (y[:, 0] >= y.max()).float()
        epochs(x, y, loss=functional.mse_loss, outputs=1)

    assert not findings("D11", run(program, tmp_path))


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({}, True),
        ({"next": 0.99}, False),
        ({"count": 10}, True),
        ({"count": 11}, False),
        ({"count": 0, "columns": []}, False),
    ],
)
def test_the_other_columns_must_be_of_another_kind(told, found):
    assert bool(findings("D11", made(near={"told": TOLD | told}))) is found


def test_too_few_rows_say_nothing(tmp_path):
    def program():
        x, y = groups(rows=40)
        epochs(torch.cat([x, y[:, None].float()], 1), y)

    assert not findings("D11", run(program, tmp_path))
