import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed


def loop(make, tmp_path, model=None, *, fails=False):
    """Steps on `make(loss)` in place of the loss."""

    def program():
        torch.manual_seed(0)
        net_ = model or net()
        optimizer = torch.optim.SGD(net_.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = make(fn.cross_entropy(net_(inputs()), labels()))
            loss.backward()
            optimizer.step()

    return observed(program, tmp_path / "run.dx", fails=fails)


def test_a_loss_made_anew_from_item_is_found_where_it_is_made(tmp_path):
    def make(loss):
        return torch.tensor(loss.item(), requires_grad=True)

    (finding,) = findings("L17", loop(make, tmp_path))
    assert finding.severity == "fault"
    assert finding.line.text == "return torch.tensor(loss.item(), requires_grad=True)"
    assert "reaches none of the 4 parameters" in finding.text
    assert finding.evidence[0].value == 0


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda v: v.detach().requires_grad_(), id="detached"),
        pytest.param(lambda v: torch.from_numpy(v.detach().numpy()).requires_grad_(), id="numpy"),
        pytest.param(lambda v: v.data.requires_grad_(), id="data"),
        pytest.param(
            lambda v: torch.tensor(float(v.detach()), requires_grad=True) / 2, id="then divided"
        ),
    ],
)
def test_it_is_found_in_every_form(make, tmp_path):
    (finding,) = findings("L17", loop(make, tmp_path))
    assert finding.severity == "fault"


def test_it_is_found_without_a_gradient_where_backward_fails(tmp_path):
    record = loop(lambda v: torch.tensor(v.item()), tmp_path, fails=True)
    assert findings("L17", record)[0].severity == "fault"


def test_the_loss_itself_is_silent_though_its_number_is_kept(tmp_path):
    shown = []

    def make(loss):
        shown.append(loss.item())
        return loss / 2

    assert not answers("L17", loop(make, tmp_path))


def test_a_placeholder_on_some_steps_is_silent(tmp_path):
    kept, shown = iter([True, False, True]), []

    def make(loss):
        shown.append(loss.item())
        return loss if next(kept) else torch.zeros((), requires_grad=True)

    assert not answers("L17", loop(make, tmp_path))


def test_a_loss_computed_without_gradients_is_another_sickness(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            with torch.no_grad():
                loss = fn.cross_entropy(model(inputs()), labels())
            loss.requires_grad_()
            loss.backward()
            optimizer.step()

    assert not answers("L17", observed(program, tmp_path / "run.dx"))


def test_a_scalar_parameter_of_ones_own_is_silent(tmp_path):
    def program():
        x = torch.tensor(3.0, requires_grad=True)
        optimizer = torch.optim.SGD([x], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = x * x
            loss.backward()
            optimizer.step()

    assert not answers("L17", observed(program, tmp_path / "run.dx"))


def test_a_run_without_a_backward_pass_is_silent(tmp_path):
    assert not answers("L17", observed(lambda: net()(inputs()), tmp_path / "run.dx"))
