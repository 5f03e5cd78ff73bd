import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.rules.loop.pieces import LABELS, ROWS, sgd, step
from tests.support import answers, findings, observed, unclear


class Coded(nn.Module):
    def __init__(self, *, cut=True):
        super().__init__()
        self.encoder, self.head, self.cut = nn.Linear(6, 4), nn.Linear(4, 2), cut

    def forward(self, x):
        z = torch.tanh(self.encoder(x))
        z = z.detach() if self.cut else z
        return self.head(z)


def run(model, tmp_path, steps=12, load=None):
    def program():
        made = model()
        if load is not None:
            made.load_state_dict(load)
        optimizer = sgd(made)
        for _ in range(steps):
            step(made, optimizer)

    return observed(program, tmp_path / "run.dx")


def test_an_encoder_behind_detach_is_found_with_its_parameters(tmp_path):
    (finding,) = findings("T02", run(Coded, tmp_path))
    assert finding.severity == "fault"
    assert "cuts 2 of 4 trained parameters off" in finding.text
    assert "encoder.bias, encoder.weight" in finding.text
    assert finding.line.text == "z = z.detach() if self.cut else z"


def test_without_the_cut_it_is_silent(tmp_path):
    assert answers("T02", run(lambda: Coded(cut=False), tmp_path)) == []


def test_loaded_weights_behind_the_cut_are_only_noted(tmp_path):
    state = copy.deepcopy(Coded().state_dict())
    (finding,) = findings("T02", run(Coded, tmp_path, load=state))
    assert finding.severity == "note"


def test_stop_gradients_with_another_way_or_no_optimizer_are_silent(tmp_path):
    def program():
        online, predictor = nn.Linear(6, 4), nn.Linear(4, 4)
        target, judge = copy.deepcopy(online), nn.Linear(4, 1)
        optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], lr=0.1)
        second = sgd(judge)
        for _ in range(12):
            made = online(ROWS)
            loss = functional.mse_loss(predictor(made), target(ROWS).detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            doubt = judge(made.detach()).square().mean()
            second.zero_grad()
            doubt.backward()
            second.step()

    assert answers("T02", observed(program, tmp_path / "run.dx")) == []


def test_a_generator_whose_turn_comes_later_is_silent(tmp_path):
    def program():
        make, judge = nn.Linear(6, 6), nn.Linear(6, 2)
        first, second = sgd(make), sgd(judge)
        for number in range(30):
            step(judge, second, make(ROWS).detach())
            if number == 29:
                functional.cross_entropy(judge(make(ROWS)), LABELS).backward()
                first.step()

    assert answers("T02", observed(program, tmp_path / "run.dx")) == []


def test_values_detached_to_be_looked_at_are_silent(tmp_path):
    def program():
        model = Coded(cut=False)
        optimizer = sgd(model)
        for _ in range(12):
            model(ROWS).detach().argmax(1)
            step(model, optimizer)

    assert answers("T02", observed(program, tmp_path / "run.dx")) == []


@pytest.mark.parametrize("renewed", [True, False])
def test_a_codebook_that_follows_an_average_is_silent(renewed, tmp_path):
    class Quantised(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(6, 4), nn.Linear(4, 2)
            self.codes = nn.Embedding(5, 4)

        def forward(self, x):
            z = self.encoder(x)
            nearest = torch.cdist(z, self.codes.weight).argmin(1)
            quantised = self.codes(nearest).detach()
            moved = torch.stack([z[nearest == k].mean(0) for k in range(5)]).nan_to_num()
            with torch.no_grad():
                if renewed:
                    self.codes.weight = nn.Parameter(0.9 * self.codes.weight + 0.1 * moved)
                else:
                    self.codes.weight.data.lerp_(moved, 0.1)
            return self.decoder(z + (quantised - z).detach())

    assert answers("T02", run(Quantised, tmp_path)) == []


def test_an_array_made_of_the_detached_values_is_told_by_the_rule_for_arrays(tmp_path):
    class Round(Coded):
        def forward(self, x):
            z = torch.from_numpy(torch.tanh(self.encoder(x)).detach().numpy())
            return self.head(z)

    assert answers("T02", run(Round, tmp_path)) == []


def test_a_loss_that_reaches_nothing_has_left_the_graph_itself(tmp_path):
    def program():
        model = Coded(cut=False)
        optimizer = sgd(model)
        for _ in range(12):
            scores = model(ROWS).detach().requires_grad_()
            functional.cross_entropy(scores, LABELS).backward()
            optimizer.step()

    assert answers("T02", observed(program, tmp_path / "run.dx")) == []


def test_a_few_steps_are_too_few_to_tell(tmp_path):
    record = run(Coded, tmp_path, steps=9)
    assert findings("T02", record) == []
    assert [a.because for a in unclear("T02", record)] == ["only 9 steps were seen"]


class Guarded(Coded):
    """Calls its encoder with gradients off."""

    def forward(self, x):
        with torch.no_grad():
            z = torch.tanh(self.encoder(x))
        return self.head(z)


def test_a_part_that_runs_with_gradients_off_is_suspected(tmp_path):
    record = run(Guarded, tmp_path)
    (finding,) = findings("T02", record)
    assert finding.severity == "suspicion"
    assert finding.text.startswith("encoder runs with gradients switched off inside the forward")
    assert finding.line.text == "z = torch.tanh(self.encoder(x))"
    assert answers("A09", record) == []


def test_a_part_that_runs_with_gradients_off_on_loaded_weights_is_a_note(tmp_path):
    (finding,) = findings("T02", run(Guarded, tmp_path, load=Coded().state_dict()))
    assert finding.severity == "note"


def test_a_part_that_runs_with_gradients_off_and_is_frozen_is_silent(tmp_path):
    def frozen():
        made = Guarded()
        made.encoder.requires_grad_(requires_grad=False)
        return made

    assert answers("T02", run(frozen, tmp_path)) == []


def test_a_part_with_an_optimizer_of_its_own_is_found(tmp_path):
    def program():
        made = Coded()
        of_encoder, of_head = sgd(made.encoder), sgd(made.head)
        for _ in range(12):
            made.zero_grad()
            functional.cross_entropy(made(ROWS), LABELS).backward()
            of_encoder.step()
            of_head.step()

    (finding,) = findings("T02", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "2 of 2 trained parameters" in finding.text
