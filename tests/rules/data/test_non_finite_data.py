import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support import findings, observed

ROWS, FEATURES = 48, 6


def rows():
    torch.manual_seed(0)
    x = torch.randn(ROWS, FEATURES)
    return x, (x[:, 0] > 0).long()


def training(x, y, *, skip=False, loss=F.cross_entropy, outputs=2, epochs=1):
    """A program that trains on these rows, in order, by a data loader."""

    def program():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(x.shape[1], 8), nn.Tanh(), nn.Linear(8, outputs))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(epochs):
            for inputs, wanted in DataLoader(TensorDataset(x, y), batch_size=8):
                value = loss(net(inputs), wanted)
                if skip and not torch.isfinite(value):
                    continue
                optimizer.zero_grad()
                value.backward()
                optimizer.step()

    return program


def found(program, tmp_path):
    return findings("D16", observed(program, tmp_path / "run.dx"))


def test_a_row_with_nan_is_found_in_the_step_that_meets_it(tmp_path):
    x, y = rows()
    x[19, 2] = math.nan
    (finding,) = found(training(x, y), tmp_path)
    assert finding.severity == "fault"
    assert finding.text == (
        "1 of 8 rows of the inputs of the batch hold NaN (column 2): the loss is nan from step 3"
    )
    assert finding.place == "the inputs of the batch"
    assert "value = loss(net(inputs), wanted)" in finding.line.text
    assert {e.what: e.value for e in finding.evidence}["numbers that are NaN"] == 1


def test_the_same_rows_without_it_are_healthy(tmp_path):
    assert found(training(*rows()), tmp_path) == []


def test_a_column_divided_by_a_spread_of_0_is_named_as_a_column(tmp_path):
    x, y = rows()
    x[:, 3] = 1.0
    (finding,) = found(training((x - x.mean(0)) / x.std(0), y), tmp_path)
    assert "8 of 8 rows" in finding.text
    assert "all rows in column 3" in finding.text
    assert "spread" in finding.prescriptions[0].text


def test_targets_that_are_infinite_are_found(tmp_path):
    x, _ = rows()
    y = x[:, :1].clone()
    y[2] = math.inf
    (finding,) = found(training(x, y, loss=F.mse_loss, outputs=1), tmp_path)
    assert "the second tensor of the batch hold infinities" in finding.text


def masked(answer, wanted):
    return torch.where(wanted.isnan(), torch.zeros(()), (answer - wanted) ** 2).mean()


def chosen(answer, wanted):
    there = ~wanted.isnan()
    return F.mse_loss(answer[there], wanted[there])


def test_missing_targets_are_a_fault_where_they_are_masked_behind_the_operation(tmp_path):
    x, _ = rows()
    y = x[:, :1].clone()
    y[17] = math.nan
    (finding,) = found(training(x, y, loss=masked, outputs=1), tmp_path)
    assert "the gradient is not finite though the loss is from step 3" in finding.text
    assert "a mask hides them from the loss, but not from its gradient" in finding.text


def test_missing_targets_that_are_left_out_before_are_the_nearest_healthy_program(tmp_path):
    x, _ = rows()
    y = x[:, :1].clone()
    y[::5] = math.nan
    assert found(training(x, y, loss=chosen, outputs=1), tmp_path) == []


def test_batches_that_are_left_out_are_a_suspicion_where_they_hold_nan(tmp_path):
    x, y = rows()
    x[19, 2] = math.nan
    (finding,) = found(training(x, y, skip=True), tmp_path)
    assert finding.severity == "suspicion"
    assert "1 of 6 batches hold NaN and were not learnt from: 1 of 8 rows" in finding.text


def test_batches_left_out_for_another_reason_are_passed_over(tmp_path):
    x, y = rows()

    def loss(answer, wanted):
        value = F.cross_entropy(answer, wanted)
        return value / 0 if wanted.sum() > 4 else value

    assert found(training(x, y, skip=True, loss=loss), tmp_path) == []


def test_an_operation_that_makes_nan_of_good_data_is_not_the_datas_fault(tmp_path):
    x, y = rows()

    def loss(answer, wanted):
        return -torch.log(F.softmax(answer * 1e4, 1)).gather(1, wanted[:, None]).mean()

    assert found(training(x, y, loss=loss), tmp_path) == []


def test_masks_of_infinities_in_a_batch_are_no_data(tmp_path):
    def program():
        torch.manual_seed(0)
        net = nn.Linear(FEATURES, FEATURES)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        later = torch.full((8, 4, 4), -math.inf).triu(1)
        for x, mask in DataLoader(TensorDataset(torch.randn(8, 4, FEATURES), later), batch_size=4):
            h = net(x)
            seen = F.softmax(h @ h.mT + mask, -1) @ h
            optimizer.zero_grad()
            (seen.pow(2).mean() + 0 * torch.log(seen * 0).mean()).backward()
            optimizer.step()

    assert found(program, tmp_path) == []
