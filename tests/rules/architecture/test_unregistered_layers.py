import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.rules.loss.training import CLASSES, FEATURES, inputs, labels, train
from tests.support import answers, findings, observed
from torchdx.rules.ranking import diagnose


class Stack(nn.Module):
    def __init__(self, container=list):
        super().__init__()
        self.hidden = container([nn.Linear(FEATURES, 8), nn.Linear(8, 8)])
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


def fit(model, parameters=None):
    optimizer = torch.optim.SGD(parameters or model.parameters(), lr=0.01)
    loss = lambda m: F.cross_entropy(m(inputs()), labels())  # noqa: E731
    train(model, loss, steps=5, optimizer=optimizer)


def test_layers_in_a_list_are_found_where_they_are_made(tmp_path):
    record = observed(lambda: fit(Stack()), tmp_path / "run.dx")
    (finding,) = findings("A10", record)
    assert finding.severity == "fault"
    assert finding.place == "Stack"
    assert finding.line.text.startswith("self.hidden = container([")
    assert "`hidden` of Stack is a plain list: its layers' 4 parameters" in finding.text
    assert finding.prescriptions[0].to == "nn.ModuleList"
    assert [f.code for f in diagnose(record).findings] == ["A10"]


class Halves(Stack):
    def __init__(self):
        super().__init__(nn.ModuleList)
        self.extra = {"up": nn.Linear(FEATURES, 8)}

    def forward(self, x):
        return super().forward(x) + self.last(self.extra["up"](x))


def test_layers_in_a_dict_are_to_go_into_a_module_dict(tmp_path):
    (finding,) = findings("A10", observed(lambda: fit(Halves()), tmp_path / "run.dx"))
    assert finding.prescriptions[0].to == "nn.ModuleDict"


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(FEATURES, CLASSES)]

    def forward(self, x):
        return self.layers[0](x)


def test_a_model_of_a_list_alone_leaves_an_optimizer_with_nothing_to_hold(tmp_path):
    def program():
        model = Whole()
        with pytest.raises(ValueError, match="empty parameter list"):
            torch.optim.SGD(model.parameters(), lr=0.01)

    (finding,) = findings("A10", observed(program, tmp_path / "run.dx"))
    assert finding.severity == "fault"
    assert "`layers` of Whole is a plain list" in finding.text


def test_a_module_list_is_silent(tmp_path):
    assert not answers("A10", observed(lambda: fit(Stack(nn.ModuleList)), tmp_path / "run.dx"))


def test_layers_in_a_list_that_the_optimizer_was_given_by_hand_are_silent(tmp_path):
    def program():
        model = Stack()
        hidden = [p for layer in model.hidden for p in layer.parameters()]
        fit(model, [*model.parameters(), *hidden])

    assert not answers("A10", observed(program, tmp_path / "run.dx"))


class Student(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.teacher = [teacher]
        self.net = nn.Linear(FEATURES, CLASSES)

    def forward(self, x):
        return self.net(x)


def test_a_teacher_that_is_hidden_in_a_list_on_purpose_is_no_alarm(tmp_path):
    def loss(student):
        x = inputs()
        return F.mse_loss(student(x), student.teacher[0](x))

    def program(grad):
        teacher = nn.Linear(FEATURES, CLASSES).requires_grad_(grad)
        train(Student(teacher), loss, steps=5)

    assert not answers("A10", observed(lambda: program(grad=False), tmp_path / "frozen.dx"))
    record = observed(lambda: program(grad=True), tmp_path / "forgotten.dx")
    assert {f.severity for f in findings("A10", record)} == {"note"}


def test_a_model_that_is_never_trained_says_nothing(tmp_path):
    assert not answers("A10", observed(lambda: Stack()(inputs()), tmp_path / "run.dx"))


class Towers(nn.Module):
    def __init__(self, container):
        super().__init__()
        self.user = nn.Embedding(10, 4)
        self.towers = container({"item": nn.Embedding(10, 4)})

    def forward(self, user, item):
        return (self.user(user) * self.towers["item"](item)).sum(-1)


def rated(model):
    x = torch.arange(10)
    return F.binary_cross_entropy_with_logits(model(x, x.flip(0)), (x % 2).float())


def test_a_hidden_part_that_makes_the_answer_beside_a_trained_one_is_a_fault(tmp_path):
    (finding,) = findings(
        "A10", observed(lambda: train(Towers(dict), rated, steps=5), tmp_path / "run.dx")
    )
    assert finding.severity == "fault"
    assert "`towers` of Towers is a plain dict" in finding.text
    assert not answers(
        "A10", observed(lambda: train(Towers(nn.ModuleDict), rated, steps=5), tmp_path / "twin.dx")
    )


def test_a_hidden_part_that_is_frozen_beside_a_trained_one_is_silent(tmp_path):
    def program():
        model = Towers(dict)
        model.towers["item"].requires_grad_(requires_grad=False)
        train(model, rated, steps=5)

    assert not answers("A10", observed(program, tmp_path / "run.dx"))


def test_a_loaded_part_that_is_hidden_beside_a_trained_one_is_only_a_note(tmp_path):
    def program():
        model = Towers(dict)
        model.towers["item"].load_state_dict(nn.Embedding(10, 4).state_dict())
        train(model, rated, steps=5)

    record = observed(program, tmp_path / "run.dx")
    assert {f.severity for f in findings("A10", record)} == {"note"}


@pytest.mark.parametrize(
    "against",
    [
        pytest.param(lambda s, t: ((s - t) ** 2).mean(), id="squared"),
        pytest.param(lambda s, t: -(t.softmax(-1) * s.log_softmax(-1)).sum(), id="soft labels"),
        pytest.param(lambda s, t: 1 - F.cosine_similarity(s, t).mean(), id="direction"),
        pytest.param(lambda s, t: F.kl_div(s.log_softmax(1), t.softmax(1)), id="kl"),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean'")
def test_what_a_hidden_teacher_says_is_held_against_the_answer_in_any_loss(tmp_path, against):
    def loss(student):
        x = inputs()
        given = student(x)
        return F.cross_entropy(given, labels()) + against(given, student.teacher[0](x))

    program = lambda: train(Student(nn.Linear(FEATURES, CLASSES)), loss, steps=5)  # noqa: E731
    record = observed(program, tmp_path / "run.dx")
    assert {f.severity for f in findings("A10", record)} == {"note"}
