import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.rules.data.records import made
from tests.rules.data.training import epochs, groups, run
from tests.support import findings


def in_order(x, y, *, passes=2):
    model = nn.Linear(x.shape[1], 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(passes):
        for rows in torch.arange(len(x)).split(20):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


def entropies(*values, rows=20.0, **targets):
    signals = {"target.entropy": ("1", values), "batch.rows": ("1", [rows] * len(values))}
    return made(signals=signals, targets=targets)


def test_rows_sorted_by_class_are_found_with_what_their_batches_hold(tmp_path):
    def program():
        x, y = groups()
        order = y.argsort()
        in_order(x[order], y[order])

    (finding,) = findings("D08", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "20 rows hold labels of 0.00 nats on average" in finding.text
    assert "100% of the batches hold a single class" in finding.text
    assert "cross_entropy(model(x[rows]), y[rows])" in finding.line.text
    assert finding.evidence[0].against == pytest.approx(math.log(4), abs=0.1)


def test_shuffled_rows_are_passed_over(tmp_path):
    assert not findings("D08", run(lambda: epochs(*groups()), tmp_path))


def test_the_limit_lies_at_six_tenths_of_a_draw_at_random():
    assert findings("D08", entropies(*[0.9, 0.6] * 10))
    assert not findings("D08", entropies(*[0.9, 0.8] * 10))


def test_samplers_that_choose_equal_numbers_of_classes_are_meant():
    assert not findings("D08", entropies(*[math.log(2)] * 20))


def test_a_rare_label_is_missing_from_most_batches_and_that_is_all():
    rare = {"counts": [980.0, 20.0], "classes": 2, "distinct": 2}
    assert not findings("D08", entropies(*[0.0, 0.0, 0.1] * 6, rows=8.0, **rare))


def test_numbers_in_order_are_found(tmp_path):
    def program():
        x, _ = groups()
        y = x[:, :1].sort(0).values
        model = nn.Linear(6, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(2):
            for rows in torch.arange(240).split(20):
                optimizer.zero_grad()
                functional.mse_loss(model(x[rows]), y[rows]).backward()
                optimizer.step()

    (finding,) = findings("D08", run(program, tmp_path))
    assert "targets of 20 rows differ by" in finding.text


def test_few_batches_or_rows_say_nothing():
    assert not findings("D08", entropies(*[0.0] * 11))
    assert not findings("D08", entropies(*[0.0] * 20, rows=3.0))
