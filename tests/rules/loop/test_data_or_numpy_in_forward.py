import numpy as np
import pytest
import torch
from torch import nn

from tests.rules.loop.pieces import ROWS, sgd, step
from tests.support import answers, findings, observed, unclear


class Clipped(nn.Module):
    def __init__(self, way="array"):
        super().__init__()
        self.hidden, self.out, self.way = nn.Linear(6, 4), nn.Linear(4, 2), way
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        h = self.hidden(x)
        if self.way == "array":
            h = torch.from_numpy(np.clip(h.detach().numpy(), -1, 1))
        elif self.way == "data":
            h = h.data.clamp(-1, 1)
        return self.out(h.clamp(-1, 1)) * self.scale


class Scaled(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.out, self.way = nn.Linear(6, 2), way
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        if self.way == "data":
            return self.out(x) * self.log_scale.data.exp()
        return self.out(x) * self.log_scale.item()


def run(model, tmp_path, steps=12):
    def program():
        made = model()
        optimizer = sgd(made)
        for _ in range(steps):
            step(made, optimizer)

    return observed(program, tmp_path / "run.dx")


def test_a_round_trip_through_numpy_is_found_and_is_not_called_a_detach(tmp_path):
    record = run(Clipped, tmp_path)
    (finding,) = findings("T03", record)
    assert finding.severity == "fault"
    assert finding.line.text == "h = torch.from_numpy(np.clip(h.detach().numpy(), -1, 1))"
    assert "2 of 5 trained parameters made (hidden.bias, hidden.weight)" in finding.text
    assert answers("T02", record) == []


def test_data_in_the_forward_is_found(tmp_path):
    (finding,) = findings("T03", run(lambda: Clipped("data"), tmp_path))
    assert finding.line.text == "h = h.data.clamp(-1, 1)"


@pytest.mark.parametrize("way", ["data", "item"])
def test_a_single_parameter_taken_as_a_number_is_found(way, tmp_path):
    (finding,) = findings("T03", run(lambda: Scaled(way), tmp_path))
    assert finding.place == "log_scale"
    assert "1 of 3 trained parameters" in finding.text


def test_the_same_forward_within_torch_is_silent(tmp_path):
    assert answers("T03", run(lambda: Clipped("tensor"), tmp_path)) == []


def test_values_read_for_printing_and_clipping_are_silent(tmp_path):
    def program():
        model = Clipped("tensor")
        optimizer = sgd(model)
        for _ in range(12):
            loss = step(model, optimizer)
            loss.item()
            model(ROWS).detach().numpy().mean()
            model.scale.item()
            for p in model.parameters():
                p.data.clamp_(-2, 2)

    assert answers("T03", observed(program, tmp_path / "run.dx")) == []


def test_a_score_that_is_only_printed_is_silent(tmp_path):
    def program():
        model, probe = Clipped("tensor"), nn.Linear(6, 1)
        optimizer = torch.optim.SGD([*model.parameters(), *probe.parameters()], lr=0.1)
        for _ in range(12):
            step(model, optimizer)
            probe(ROWS).square().mean().item()

    assert answers("T03", observed(program, tmp_path / "run.dx")) == []


def test_a_part_that_no_optimizer_holds_is_silent(tmp_path):
    def program():
        model = Clipped("data")
        optimizer = sgd(model.out)
        for _ in range(12):
            step(model, optimizer)

    assert answers("T03", observed(program, tmp_path / "run.dx")) == []


def test_a_few_steps_are_too_few_to_tell(tmp_path):
    record = run(Clipped, tmp_path, steps=5)
    assert findings("T03", record) == []
    assert len(unclear("T03", record)) == 1


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.kind, self.size = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x):
        h = torch.relu(self.trunk(x))
        return self.kind(h), self.size(h)


def heads(losses, tmp_path):
    """Two heads, and the loss that `losses(kind, size)` makes."""

    def program():
        model = Heads()
        optimizer = sgd(model)
        for _ in range(12):
            kind, size = model(ROWS)
            losses(kind.square().mean(), size.square().mean(), optimizer)

    return observed(program, tmp_path / "run.dx")


def as_entry(kind, size, optimizer):
    terms = {"kind": kind, "size": size.item()}
    loss = sum(terms.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def as_weighted_term(kind, size, optimizer):
    extra = 0.5 * float(size.item())
    loss = kind + extra
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def both(kind, size):
    loss = kind
    loss = loss + size.item()
    return loss, {"kind": kind.item()}


def as_returned(kind, size, optimizer):
    loss, _ = both(kind, size)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("losses", [as_entry, as_weighted_term, as_returned])
def test_a_term_of_the_loss_that_is_added_as_a_number_is_found(losses, tmp_path):
    (finding,) = findings("T03", heads(losses, tmp_path))
    assert finding.severity == "fault"
    assert "size.item()" in finding.line.text
    assert "one term of the loss goes on with .item()" in finding.text
    assert "2 of 6 trained parameters made (size.bias, size.weight)" in finding.text


def as_log(kind, size, optimizer):
    log = {"size": size.item()}
    loss = kind
    log["loss"] = kind.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def with_log(kind, size):
    log = {"size": size.item()}
    return kind, log


def as_returned_log(kind, size, optimizer):
    loss, log = with_log(kind, size)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    assert log


def as_entry_of_outputs(kind, size, optimizer):
    out = {"loss": kind, "size": size.item()}
    optimizer.zero_grad()
    out["loss"].backward()
    optimizer.step()


def as_both(kind, size, optimizer):
    loss = kind + size / size.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize("losses", [as_log, as_returned_log, as_entry_of_outputs, as_both])
def test_a_number_that_is_only_kept_or_scales_a_term_is_silent(losses, tmp_path):
    assert answers("T03", heads(losses, tmp_path)) == []
