import copy
import dataclasses

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.support import answers, findings, observed

ROWS = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
LABELS = (ROWS[:, 0] > 0).long()


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def through_a_loader(model, x, _):
    with torch.no_grad():
        hits = sum(
            (model(rows).argmax(1) == labels).sum().item()
            for rows, labels in DataLoader(HELD, batch_size=100)
        )
    return hits / len(x)


HELD = TensorDataset(ROWS, LABELS)


def lower(score, best):
    return score < best


def higher(score, best):
    return score > best


def always(_score, _best):
    return True


START = {lower: float("inf"), higher: 0.0, always: 0.0}


def run(better, tmp_path, *, measure=accuracy, epochs=5, after=None):
    def program():
        torch.manual_seed(2)
        model = torch.nn.Linear(6, 2)
        with torch.no_grad():
            model.weight[1, 0] = model.weight[0, 0] - 1.5  # worse than chance at first
        optimizer = torch.optim.SGD(model.parameters(), lr=0.7)
        best, kept = START[better], None
        for _ in range(epochs):
            loss = functional.cross_entropy(model(ROWS), LABELS)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            score = measure(model, ROWS, LABELS)
            if better(score, best):
                best, kept = score, copy.deepcopy(model.state_dict())
        model.load_state_dict(kept)
        if after is not None:
            after(model, optimizer)

    return observed(program, tmp_path / "run.dx")


def test_the_worst_epoch_kept_by_the_wrong_sign_is_found_without_a_loader(tmp_path):
    (finding,) = findings("M04", run(lower, tmp_path))
    assert finding.severity == "fault"
    assert "validation 1 of 5, the least accurate of all" in finding.text
    assert finding.evidence[0].value < finding.evidence[0].against - 0.2
    assert finding.line.text == "best, kept = score, copy.deepcopy(model.state_dict())"


def test_it_is_found_through_a_loader_and_before_a_test(tmp_path):
    def test(model, _):
        accuracy(model, ROWS[:50], LABELS[:50])

    record = run(lower, tmp_path, measure=through_a_loader, after=test)
    assert len(findings("M04", record)) == 1


def test_the_right_sign_is_silent(tmp_path):
    assert answers("M04", run(higher, tmp_path)) == []


def test_every_epoch_kept_is_silent_even_if_the_last_is_the_worst(tmp_path):
    record = run(always, tmp_path)
    record.phases.reverse()
    for at, (phase, other) in enumerate(zip(record.phases, record.phases[::-1], strict=True)):
        record.phases[at] = dataclasses.replace(phase, at=other.at)
    assert record.phases[-1].accuracy < record.phases[0].accuracy
    assert answers("M04", record) == []


def test_an_epoch_that_is_the_worst_by_one_measure_only_is_silent(tmp_path):
    record = run(lower, tmp_path)
    assert findings("M04", record)
    first, *others = record.phases
    record.phases = [dataclasses.replace(first, loss=0.01), *others]
    assert answers("M04", record) == []


def test_rewinding_to_early_weights_to_train_on_is_silent(tmp_path):
    def train_on(model, optimizer):
        for _ in range(3):
            loss = functional.cross_entropy(model(ROWS), LABELS)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    record = run(lower, tmp_path, after=train_on)
    assert answers("M04", record) == []


def test_a_difference_within_the_error_of_few_rows_is_silent(tmp_path):
    def on_four(model, _, __):
        return accuracy(model, ROWS[:4], LABELS[:4])

    assert answers("M04", run(lower, tmp_path, measure=on_four)) == []


def test_two_validations_are_too_few(tmp_path):
    assert answers("M04", run(lower, tmp_path, epochs=2)) == []
