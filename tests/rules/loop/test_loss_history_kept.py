import random

import torch
from torch.nn import functional

from tests.rules.loop.pieces import LABELS, ROWS, net, sgd, step
from tests.support import answers, findings, observed


def test_a_sum_of_losses_with_their_history_is_found(tmp_path):
    def program():
        model, total = net(), 0.0
        optimizer = sgd(model)
        for _ in range(12):
            loss = step(model, optimizer)
            total += loss

    (finding,) = findings("T06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.place == "total"
    assert finding.line.text == "total += loss"
    first, last = finding.evidence[0].against, finding.evidence[0].value
    assert f"held {first} losses at step" in finding.text
    assert last - first == finding.evidence[1].value


def test_a_list_of_losses_with_their_history_is_found_through_resets(tmp_path):
    def program():
        model, losses = net(), []
        optimizer = sgd(model)
        for number in range(40):
            losses = [] if number % 20 == 0 else losses
            losses.append(step(model, optimizer))

    (finding,) = findings("T06", observed(program, tmp_path / "run.dx"))
    assert "losses collects the losses" in finding.text
    assert finding.line.text == "losses.append(step(model, optimizer))"


def test_numbers_and_detached_losses_are_silent(tmp_path):
    def program():
        model, total, losses, values = net(), 0.0, [], []
        optimizer = sgd(model)
        for _ in range(12):
            loss = step(model, optimizer)
            total += loss.item()
            losses.append(loss.detach())
            values.append(loss.detach().numpy())

    assert answers("T06", observed(program, tmp_path / "run.dx")) == []


def test_a_loss_of_many_terms_in_each_step_is_silent_whatever_their_number(tmp_path):
    def program():
        model, draw = net(), random.Random(3)  # not for secrets
        optimizer = sgd(model)
        for _ in range(80):
            total, terms = 0.0, []
            for _ in range(draw.randint(2, 30)):
                loss = functional.cross_entropy(model(ROWS), LABELS)
                total = total + loss
                terms.append(loss)
            optimizer.zero_grad()
            torch.stack(terms).sum().backward()
            optimizer.step()

    assert answers("T06", observed(program, tmp_path / "run.dx")) == []


def test_sums_and_lists_of_episodes_that_grow_by_one_a_step_are_silent(tmp_path):
    def program():
        model, scores = net(), []
        optimizer = sgd(model)
        for number in range(14):
            total = 0.0
            for _ in range(3 + number):
                scores.append(functional.cross_entropy(model(ROWS), LABELS))
                total = total + scores[-1]
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            scores.clear()

    record = observed(program, tmp_path / "run.dx")
    assert {event.facts["name"] for event in record.of("held")} == {"scores", "total"}
    assert answers("T06", record) == []


def test_growth_over_two_looks_is_too_little(tmp_path):
    def program():
        model, total = net(), 0.0
        optimizer = sgd(model)
        for _ in range(5):
            loss = step(model, optimizer)
            for _ in range(5):
                total += loss

    record = observed(program, tmp_path / "run.dx")
    assert len(record.of("held")) == 2
    assert answers("T06", record) == []


class Meter:
    def __init__(self):
        self.sum, self.count = 0.0, 0

    def update(self, value):
        self.sum += value
        self.count += 1


def test_a_sum_inside_an_object_or_a_dict_is_found(tmp_path):
    def with_meter():
        model, meter = net(), Meter()
        optimizer = sgd(model)
        for _ in range(12):
            meter.update(step(model, optimizer))

    def with_dict():
        model, log = net(), {"loss": 0.0}
        optimizer = sgd(model)
        for _ in range(12):
            for key in log:
                log[key] += step(model, optimizer)

    (finding,) = findings("T06", observed(with_meter, tmp_path / "meter.dx"))
    assert finding.line.text == "self.sum += value"
    (finding,) = findings("T06", observed(with_dict, tmp_path / "dict.dx"))
    assert finding.line.text == "log[key] += step(model, optimizer)"


def test_numbers_inside_an_object_are_silent(tmp_path):
    def program():
        model, meter = net(), Meter()
        optimizer = sgd(model)
        for _ in range(12):
            meter.update(step(model, optimizer).item())

    assert answers("T06", observed(program, tmp_path / "run.dx")) == []
