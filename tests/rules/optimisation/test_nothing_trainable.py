import pytest
import torch
import torch.nn.functional as F

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def loss(model):
    return F.cross_entropy(model(inputs()), labels())


def of_the_head(model):
    return torch.optim.SGD(model[2].parameters(), lr=0.01)


def test_an_optimizer_of_frozen_layers_is_found_where_it_was_made(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        optimizer = torch.optim.Adam(model[0].parameters(), lr=0.01)
        train(model, loss, optimizer=optimizer)

    (finding,) = findings("O09", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text.startswith("optimizer = torch.optim.Adam(")
    assert "none of the 2 parameters of this Adam" in finding.text
    assert "its 4 steps changed nothing" in finding.text


@pytest.mark.parametrize("before", [True, False])
def test_a_model_that_is_all_frozen_is_found_though_backward_fails(tmp_path, before):
    def program():
        model = net().requires_grad_(requires_grad=not before)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        model.requires_grad_(requires_grad=False)
        train(model, loss, optimizer=optimizer)

    (finding,) = findings("O09", observed(program, tmp_path / "run.dx", fails=True))
    assert "none of the 4 parameters requires a gradient" in finding.text


def test_an_optimizer_that_finds_no_parameter_to_hold_is_told(tmp_path):
    def program():
        model = net().requires_grad_(requires_grad=False)
        with pytest.raises(ValueError, match="empty parameter list"):
            torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)

    assert findings("O09", observed(program, tmp_path / "run.dx"))


def test_a_frozen_body_with_a_head_that_learns_is_silent(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        train(model, loss)

    assert not answers("O09", observed(program, tmp_path / "run.dx"))


def test_an_optimizer_of_layers_to_be_unfrozen_later_is_silent_while_another_trains(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        later, now = torch.optim.SGD(model[0].parameters(), lr=0.01), of_the_head(model)
        for _ in range(4):
            now.zero_grad()
            loss(model).backward()
            later.step()
            now.step()

    assert not answers("O09", observed(program, tmp_path / "run.dx"))


def test_a_loss_that_fails_for_another_reason_is_not_this(tmp_path):
    def program():
        model = net()
        with torch.no_grad():
            value = loss(model)
        value.backward()

    assert not answers("O09", observed(program, tmp_path / "run.dx", fails=True))


def test_one_step_is_too_few(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        optimizer = torch.optim.SGD(model[0].parameters(), lr=0.01)
        train(model, loss, steps=1, optimizer=optimizer)

    assert not answers("O09", observed(program, tmp_path / "run.dx"))
