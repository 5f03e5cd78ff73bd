import copy

import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import inputs, labels, net, train
from tests.support import answers, findings, observed


def run(freeze, held=lambda model: model.parameters()):
    model = net()
    freeze(model)
    optimizer = torch.optim.SGD(held(model), lr=0.01)
    loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
    train(model, loss, optimizer=optimizer)


def attribute(model):
    model[0].requires_grad = False


def attribute_on_all(model):
    for module in model.modules():
        module.requires_grad = isinstance(module, nn.Linear) and module is model[2]


def method(model):
    model[0].requires_grad_(requires_grad=False)


def attribute_and_method(model):
    model[0].requires_grad = False
    model[0].requires_grad_(requires_grad=False)


def on_parameters(model):
    for parameter in model[0].parameters():
        parameter.requires_grad = False


def attribute_on_activation(model):
    model[1].requires_grad = False


def thawed_by_attribute(model):
    model.requires_grad_(requires_grad=False)
    model[2].requires_grad_(requires_grad=True)
    model[0].requires_grad = True


def test_an_attribute_on_a_module_that_goes_on_training_is_found(tmp_path):
    (finding,) = findings("O08", observed(lambda: run(attribute), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text == "model[0].requires_grad = False"
    assert "(Linear) sets an attribute that nothing reads: 2 parameters" in finding.text
    assert "an optimizer changes 2 of them" in finding.text
    assert finding.prescriptions[0].text == "write `requires_grad_(False)`, with the underscore"


def test_what_was_said_last_of_each_layer_counts(tmp_path):
    (finding,) = findings("O08", observed(lambda: run(attribute_on_all), tmp_path / "run.dx"))
    assert "2 parameters (0.bias, 0.weight)" in finding.text


def test_layers_that_were_to_train_and_stay_frozen_are_told(tmp_path):
    (finding,) = findings("O08", observed(lambda: run(thawed_by_attribute), tmp_path / "run.dx"))
    assert "2 parameters (0.bias, 0.weight) are still frozen" in finding.text


def test_freezing_by_the_method_or_on_parameters_is_silent(tmp_path):
    assert not answers("O08", observed(lambda: run(method), tmp_path / "method.dx"))
    assert not answers("O08", observed(lambda: run(on_parameters), tmp_path / "each.dx"))


def test_the_attribute_beside_the_method_is_silent(tmp_path):
    assert not answers("O08", observed(lambda: run(attribute_and_method), tmp_path / "run.dx"))


def test_an_attribute_on_a_layer_without_parameters_is_silent(tmp_path):
    assert not answers("O08", observed(lambda: run(attribute_on_activation), tmp_path / "run.dx"))


def test_layers_that_no_optimizer_holds_are_only_a_note(tmp_path):
    program = lambda: run(attribute, lambda model: model[2].parameters())  # noqa: E731
    assert [f.severity for f in findings("O08", observed(program, tmp_path / "run.dx"))] == ["note"]


def test_a_first_stage_that_trained_the_layers_before_does_not_count(tmp_path):
    def program():
        model = net()
        loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
        train(model, loss)
        attribute(model)
        train(model, loss, optimizer=torch.optim.SGD(model[2].parameters(), lr=0.01))

    assert [f.severity for f in findings("O08", observed(program, tmp_path / "run.dx"))] == ["note"]


class Adapter:
    """Holds a copy that was not called yet, as test-time adaptation does."""

    def __init__(self, source):
        self.model = copy.deepcopy(source)
        for module in self.model.modules():
            module.requires_grad = isinstance(module, nn.LayerNorm)


def adapt():
    source = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))
    loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
    train(source, loss, optimizer=torch.optim.SGD(source.parameters(), lr=0.01))
    adapter = Adapter(source)
    optimizer = torch.optim.SGD(adapter.model.parameters(), lr=0.01)
    train(adapter.model, loss, optimizer=optimizer)


def test_a_copy_that_was_not_called_before_is_found_too(tmp_path):
    (finding,) = findings("O08", observed(adapt, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "4 parameters" in finding.text
    assert "an optimizer changes 4 of them" in finding.text
