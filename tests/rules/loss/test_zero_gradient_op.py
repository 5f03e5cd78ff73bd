import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed

TARGET = torch.linspace(-1, 1, 12)


def run(loss, tmp_path, model=None, *, fails=False):
    def program():
        torch.manual_seed(0)
        train(model or net(), lambda m: loss(m(inputs())))

    return observed(program, tmp_path / "run.dx", fails=fails)


def test_a_round_between_the_loss_and_all_parameters_is_found(tmp_path):
    def loss(z):
        rounded = torch.round(z[:, 0])
        return fn.mse_loss(rounded, TARGET)

    (finding,) = findings("L18", run(loss, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "rounded = torch.round(z[:, 0])"
    assert "4 of 4 parameters" in finding.text


def test_a_division_that_rounds_is_found(tmp_path):
    def loss(z):
        return fn.mse_loss(torch.div(z[:, 0], 0.5, rounding_mode="floor"), TARGET)

    assert findings("L18", run(loss, tmp_path))


def test_an_argmax_that_cuts_every_parameter_off_is_found(tmp_path):
    def loss(z):
        level = z.argmax(dim=1).float().requires_grad_()
        return fn.mse_loss(level, TARGET)

    (finding,) = findings("L18", run(loss, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "level = z.argmax(dim=1).float().requires_grad_()"
    assert "argmax ends the path between the loss and 4 parameters" in finding.text


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda z: (z[:, 0] > 0).float(), id="comparison"),
        pytest.param(lambda z: z[:, 0].long().float(), id="cast"),
    ],
)
def test_comparisons_and_casts_are_found_even_where_backward_then_fails(cut, tmp_path):
    record = run(lambda z: fn.mse_loss(cut(z), TARGET), tmp_path, fails=True)
    (finding,) = findings("L18", record)
    assert finding.severity == "fault"


def test_an_error_rate_as_the_loss_is_found(tmp_path):
    def loss(z):
        return (z.argmax(1) != labels()).float().mean().requires_grad_()

    assert findings("L18", run(loss, tmp_path))[0].severity == "fault"


def test_torch_argmax_leaves_only_its_source_and_is_a_suspicion(tmp_path):
    def loss(z):
        level = torch.argmax(z, dim=1).float()
        return fn.mse_loss(level.requires_grad_(), TARGET)

    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        value = loss(model(inputs()))
        value.backward()
        optimizer.step()

    (finding,) = findings("L18", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "suspicion"
    assert finding.line.text == "level = torch.argmax(z, dim=1).float()"


class Coded(nn.Module):
    """Chooses a row of a table by an argmax; with `through`, gradients pass straight on."""

    def __init__(self, *, through):
        super().__init__()
        self.encoder, self.table, self.head = net(), nn.Embedding(4, 4), nn.Linear(4, 4)
        self.through = through

    def forward(self, x):
        z = self.encoder(x)
        code = self.table(z.argmax(dim=1))
        return self.head(z + (code - z).detach() if self.through else code)


def test_an_encoder_behind_an_argmax_that_an_optimizer_holds_is_a_suspicion(tmp_path):
    record = run(lambda z: fn.cross_entropy(z, labels()), tmp_path, Coded(through=False))
    (finding,) = findings("L18", record)
    assert finding.severity == "suspicion"
    assert "4 parameters (encoder." in finding.text
    assert finding.confirm


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(
            lambda z: fn.mse_loss((z + (torch.round(z) - z).detach())[:, 0], TARGET),
            id="straight-through round",
        ),
        pytest.param(
            lambda z: fn.mse_loss(z[:, 0], TARGET) + torch.floor(z).mean(), id="beside a usual path"
        ),
        pytest.param(
            lambda z: fn.cross_entropy(z, labels()) * (1 + 0 * (z.argmax(1) == labels()).sum()),
            id="accuracy",
        ),
    ],
)
def test_round_and_argmax_beside_another_path_are_silent(loss, tmp_path):
    assert not answers("L18", run(loss, tmp_path))


def test_a_code_book_with_a_straight_through_gradient_is_silent(tmp_path):
    record = run(lambda z: fn.cross_entropy(z, labels()), tmp_path, Coded(through=True))
    assert not answers("L18", record)


def test_answers_that_were_detached_are_another_sickness(tmp_path):
    def loss(z):
        z.argmax(dim=1)
        return fn.cross_entropy(z.detach().requires_grad_(), labels())

    assert not answers("L18", run(loss, tmp_path))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L18", observed(lambda: net()(inputs()), tmp_path / "run.dx"))


def test_a_temperature_fitted_to_labels_made_by_argmax_is_silent(tmp_path):
    def program():
        model = net()
        train(model, lambda m: fn.mse_loss(m(inputs())[:, 0], TARGET))
        scores = model(inputs()).detach()
        made = torch.argmax(scores, dim=1)
        temperature = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([temperature], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            fn.cross_entropy(scores / temperature, made).backward()
            optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    assert not answers("L18", record)
    assert not answers("L17", record)
