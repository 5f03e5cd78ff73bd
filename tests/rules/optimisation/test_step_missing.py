import pytest
import torch
import torch.nn.functional as F

from tests.rules.loss.training import inputs, labels, net
from tests.support import answers, findings, observed


def loop(times, after, make=lambda model: torch.optim.SGD(model.parameters(), lr=0.01)):
    """`times` backward passes with `after(model, optimizer)` behind each."""
    model = net()
    optimizer = make(model)
    for _ in range(times):
        model.zero_grad()
        F.cross_entropy(model(inputs()), labels()).backward()
        after(model, optimizer)


def nothing(_model, _optimizer):
    pass


def step(_model, optimizer):
    optimizer.step()


def by_hand(model, _optimizer):
    for parameter in model.parameters():
        parameter.data -= 0.01 * parameter.grad


def to_names_only(model, _optimizer):
    for parameter in model.parameters():
        parameter = parameter - 0.01 * parameter.grad  # noqa: PLW2901


def none(_model):
    return None


def test_an_optimizer_that_never_steps_is_found_at_backward(tmp_path):
    (finding,) = findings("O03", observed(lambda: loop(4, nothing), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text.endswith(".backward()")
    assert "after 3 backward passes none of the 4 parameters" in finding.text
    assert "the SGD optimizer never stepped" in finding.text


def test_a_loop_that_steps_is_silent(tmp_path):
    assert not answers("O03", observed(lambda: loop(12, step), tmp_path / "run.dx"))


@pytest.mark.parametrize("make", [none, lambda model: torch.optim.SGD(model.parameters(), lr=1)])
def test_weights_that_the_program_changes_itself_through_data_are_silent(tmp_path, make):
    assert not answers("O03", observed(lambda: loop(12, by_hand, make), tmp_path / "run.dx"))


def test_updates_that_only_rebind_a_name_are_suspected_from_ten_passes_on(tmp_path):
    few = observed(lambda: loop(9, to_names_only, none), tmp_path / "few.dx")
    assert not answers("O03", few)
    (finding,) = findings(
        "O03", observed(lambda: loop(10, to_names_only, none), tmp_path / "ten.dx")
    )
    assert finding.severity == "suspicion"
    assert "no optimizer was made" in finding.text


def test_gradients_of_the_input_that_a_program_asks_for_are_silent(tmp_path):
    def program():
        model = net()
        for _ in range(12):
            x = inputs().requires_grad_()
            F.cross_entropy(model(x), labels()).backward()

    assert not answers("O03", observed(program, tmp_path / "run.dx"))


def test_accumulation_over_many_batches_before_the_first_step_is_silent(tmp_path):
    def program():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for i in range(16):
            F.cross_entropy(model(inputs()), labels()).backward()
            if i == 15:
                optimizer.step()

    assert not answers("O03", observed(program, tmp_path / "run.dx"))


def two_optimizers(steps, second):
    first, judge = net(), net()
    one = torch.optim.SGD(first.parameters(), lr=0.01)
    other = torch.optim.SGD(judge.parameters(), lr=0.01)
    for _ in range(steps):
        one.zero_grad()
        other.zero_grad()
        (F.cross_entropy(first(inputs()), labels()) + judge(inputs()).mean()).backward()
        one.step()
        if second:
            other.step()


def test_one_of_two_optimizers_that_never_steps_is_suspected(tmp_path):
    record = observed(lambda: two_optimizers(50, second=False), tmp_path / "run.dx")
    (finding,) = findings("O03", record)
    assert finding.severity == "suspicion"
    assert finding.line.text.startswith("other = ")
    assert "while another optimizer made 50 steps" in finding.text


def test_two_optimizers_that_both_step_are_silent(tmp_path):
    record = observed(lambda: two_optimizers(50, second=True), tmp_path / "run.dx")
    assert not answers("O03", record)


def test_two_backward_passes_are_too_few(tmp_path):
    assert not answers("O03", observed(lambda: loop(2, nothing), tmp_path / "run.dx"))
