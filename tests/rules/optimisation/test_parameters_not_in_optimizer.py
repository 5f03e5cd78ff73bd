import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, net, train
from tests.support import answers, findings, observed

STEPS = 5


def sgd(*models):
    return torch.optim.SGD([p for m in models for p in m.parameters()], lr=0.01)


def fit(model, optimizer, steps=STEPS, loss=None):
    loss = loss or (lambda m: F.cross_entropy(m(inputs()), labels()))
    train(model, loss, steps=steps, optimizer=optimizer)


def encoder():
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU())


def test_a_head_that_the_optimizer_was_not_given_is_found_at_the_optimizer(tmp_path):
    def program(steps):
        body, head = encoder(), nn.Linear(8, CLASSES)
        optimizer = sgd(body)
        fit(nn.Sequential(body, head), optimizer, steps)

    (finding,) = findings("O06", observed(lambda: program(STEPS), tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text.startswith("return torch.optim.SGD(")
    assert finding.text.startswith("2 parameters (")
    assert "are in no optimizer, and stayed as they were" in finding.text
    assert not answers("O06", observed(lambda: program(2), tmp_path / "few.dx"))


def test_a_layer_put_in_after_the_optimizer_was_made_is_a_fault(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        model[2] = nn.Linear(8, CLASSES)
        fit(model, optimizer)

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "2.weight#2" in finding.text


def test_a_first_layer_put_in_after_the_optimizer_was_made_is_a_fault_too(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        model[0] = nn.Linear(FEATURES, 8)
        fit(model, optimizer)

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"


def test_a_head_put_in_after_the_optimizer_on_a_body_frozen_after_it_is_a_fault(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model)
        fit(model, optimizer)
        model[0].requires_grad_(requires_grad=False)
        model[2] = nn.Linear(8, CLASSES)
        fit(model, optimizer)

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert finding.line.text.startswith("return torch.optim.SGD(")
    assert [p.change for p in finding.prescriptions] == ["optimizer_parameters"]
    assert "give them to the optimizer" in finding.prescriptions[0].text


def test_a_head_put_in_after_one_that_the_optimizer_was_given_alone_is_a_fault(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        optimizer = sgd(model[2])
        fit(model, optimizer)
        model[2] = nn.Linear(8, CLASSES)
        fit(model, optimizer)

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"


def test_a_loaded_net_put_in_after_the_optimizer_to_judge_is_only_a_note(tmp_path):
    class Judged(nn.Module):
        def __init__(self):
            super().__init__()
            self.made = net(FEATURES)

        def forward(self, x):
            return self.judge(self.made(x))

    def program():
        model = Judged()
        optimizer = sgd(model)
        model.judge = nn.Linear(FEATURES, CLASSES)
        model.judge.load_state_dict(nn.Linear(FEATURES, CLASSES).state_dict())
        fit(model, optimizer)

    assert {f.severity for f in findings("O06", observed(program, tmp_path / "run.dx"))} == {"note"}


def test_a_part_put_in_later_that_an_optimizer_of_its_own_trains_is_silent(tmp_path):
    def program():
        model = net()
        fit(model, sgd(model))
        model[0].requires_grad_(requires_grad=False)
        model[2] = nn.Linear(8, CLASSES)
        fit(model, sgd(model[2]))

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_what_seems_meant_to_stay_is_to_be_frozen_or_given_to_the_optimizer(tmp_path):
    def program():
        model = net()
        fit(model, sgd(model[2]))

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    given = {p.change: p.text for p in finding.prescriptions}
    assert list(given) == ["freeze", "optimizer_parameters"]
    assert "requires_grad_(False)" in given["freeze"]
    assert "give them to the optimizer" in given["optimizer_parameters"]


def test_a_layer_put_in_first_is_silent(tmp_path):
    def program():
        model = net()
        model[2] = nn.Linear(8, CLASSES)
        fit(model, sgd(model))

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_a_head_tuned_on_a_backbone_that_is_not_frozen_is_only_a_note(tmp_path):
    def program():
        model = net()
        fit(model, sgd(model[2]))

    (finding,) = findings("O06", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "note"
    assert "61% of the gradients" in finding.text


def test_a_frozen_backbone_is_silent(tmp_path):
    def program():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        fit(model, sgd(model[2]))

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_parameters_added_to_the_optimizer_later_are_silent(tmp_path):
    def program():
        model = net()
        optimizer = sgd(model[0])
        fit(model, optimizer)
        optimizer.add_param_group({"params": model[2].parameters()})
        fit(model, optimizer)

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_a_discriminator_with_an_optimizer_of_its_own_is_silent(tmp_path):
    def program():
        made, judge = net(FEATURES), net(1)
        maker, judging = sgd(made), sgd(judge)
        for _ in range(STEPS):
            fit(judge, judging, 1, lambda m: m(made(inputs()).detach()).mean())
            fit(made, maker, 1, lambda m: -judge(m(inputs())).mean())

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_a_multiplier_that_the_program_updates_itself_is_silent(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.scale = net(), nn.Parameter(torch.ones(CLASSES))

        def forward(self, x):
            return self.net(x) * self.scale

    def loss(model):
        if model.scale.grad is not None:
            model.scale.data += 0.1 * model.scale.grad
        return F.cross_entropy(model(inputs()), labels())

    def program():
        model = Scaled()
        fit(model, sgd(model.net), loss=loss)

    assert not answers("O06", observed(program, tmp_path / "run.dx"))


def test_a_large_fixed_net_that_judges_the_output_is_only_a_note(tmp_path):
    def program():
        made = nn.Linear(FEATURES, FEATURES)
        judge = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 4))
        fit(made, sgd(made), loss=lambda m: judge(m(inputs())).pow(2).mean())

    assert {f.severity for f in findings("O06", observed(program, tmp_path / "run.dx"))} == {"note"}


def test_a_loaded_net_that_judges_the_output_is_only_a_note(tmp_path):
    def program():
        made, judge = net(FEATURES), nn.Linear(FEATURES, 1)
        judge.load_state_dict(nn.Linear(FEATURES, 1).state_dict())
        fit(made, sgd(made), loss=lambda m: judge(m(inputs())).pow(2).mean())

    assert {f.severity for f in findings("O06", observed(program, tmp_path / "run.dx"))} == {"note"}


class Adapted(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.ModuleList([nn.Linear(FEATURES, FEATURES) for _ in range(4)])
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(FEATURES)) for _ in range(4)])

    def forward(self, x):
        for layer, scale in zip(self.base, self.scales, strict=True):
            x = torch.relu(layer(x) * scale)
        return x


def test_adapters_in_a_base_that_is_not_frozen_are_only_a_note(tmp_path):
    def program():
        model = Adapted()
        fit(model, sgd(model.scales))

    assert {f.severity for f in findings("O06", observed(program, tmp_path / "run.dx"))} == {"note"}
