import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.rules.data.judging import epochs, judge, judged_record
from tests.rules.data.training import groups, run
from tests.support import findings

ALTERED = {"recurring": 0.0, "kin": 0.7}


def noisy(x):
    return x + 0.3 * torch.randn_like(x)


def test_other_noise_in_each_pass_is_found(tmp_path):
    def program():
        x, y = groups(rows=300, spread=1.0)
        epochs(x[:220], y[:220], lambda: (noisy(x[220:]), y[220:]), altered=noisy)

    (finding,) = findings("D12", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "of the rows in one validation pass 0% came in the pass before" in finding.text
    assert "model(held_x)" in finding.line.text


def test_noise_in_training_only_is_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300, spread=1.0)
        epochs(x[:220], y[:220], lambda: (x[220:], y[220:]), altered=noisy)

    assert not findings("D12", run(program, tmp_path))


def test_noise_that_was_drawn_once_is_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300, spread=1.0)
        once = noisy(x[220:])
        epochs(x[:220], y[:220], lambda: (once, y[220:]), altered=noisy)

    assert not findings("D12", run(program, tmp_path))


def test_new_rows_for_the_same_labels_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300, spread=1.0)
        centres = torch.stack([x[y == k].mean(0) for k in range(4)])
        wanted = torch.arange(80) % 4
        epochs(x, y, lambda: (centres[wanted] + torch.randn(80, 6), wanted))

    assert not findings("D12", run(program, tmp_path))


def test_copies_that_are_averaged_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300, spread=1.0)

        def copies():
            return noisy(x[220:].repeat(4, 1)), y[220:].repeat(4)

        epochs(x[:220], y[:220], copies)

    assert not findings("D12", run(program, tmp_path))


def test_rows_that_another_model_has_made_are_passed_over(tmp_path):
    def program():
        x, y = groups(rows=300)
        body, head = nn.Linear(6, 5), nn.Linear(5, 4)
        optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
        for _ in range(4):
            for rows in torch.randperm(220).split(20):
                optimizer.zero_grad()
                functional.cross_entropy(head(body(x[rows])), y[rows]).backward()
                optimizer.step()
                optimizer.zero_grad()
                with torch.no_grad():
                    code = body(x[rows])
                functional.cross_entropy(head(code), y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                code = body(x[220:])
            judge(head, code, y[220:])

    assert not findings("D12", run(program, tmp_path))


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, True),
        ({"recurring": 0.55}, True),
        ({"recurring": 0.65}, False),
        ({"kin": 0.97}, False),
        ({"kin": None}, False),
        ({"labels_same": None}, False),
        ({"labels_same": False}, False),
        ({"labels": 1}, False),
        ({"turns": 4.0}, False),
        ({"derived": 1.0}, False),
        ({"rows": 20}, False),
        ({"recurring": None}, False),
    ],
)
def test_what_must_hold_for_alteration(own, found):
    assert bool(findings("D12", judged_record(own=ALTERED | own))) is found
