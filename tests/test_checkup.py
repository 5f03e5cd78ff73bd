"""`dx.checkup` and `torchdx checkup`: what is asked, how it comes out, what is left as it was."""

import random

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional as F

import torchdx as dx
from torchdx.checkups.questions import QUESTIONS
from torchdx.cli import torchdx
from torchdx.errors import CallError
from torchdx.rules.base import all_rules

X = torch.randn(48, 10, generator=torch.Generator().manual_seed(0))
Y = torch.arange(48) % 4


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr("torchdx.checkups.checkup.STEPS", 4)
    monkeypatch.setattr("torchdx.probes.one_batch.STEPS", 60)


def net(*last, drop=0.2):
    torch.manual_seed(0)
    hidden = [nn.Linear(10, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(drop)]
    return nn.Sequential(*hidden, nn.Linear(24, 4), *last)


def outcomes(result):
    return {row.question: row.outcome for row in result.rows}


def found(result):
    return {row.question for row in result.rows if row.outcome == "finding"}


def test_a_healthy_model_passes_every_question():
    model = net()
    result = dx.checkup(model, (X, Y), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()))
    assert found(result) == set()
    assert result.passed
    assert result.findings == ()
    assert len(result.rows) >= 25
    assert outcomes(result)["can this batch be fitted?"] == "pass"
    assert "passed, 0 found" in str(result)
    assert result._repr_html_().startswith("<table>")


def test_a_softmax_before_the_loss_is_found_with_its_rule():
    result = dx.checkup(net(nn.Softmax(1)), (X, Y), nn.CrossEntropyLoss())
    assert "is it given scores?" in found(result)
    assert "L01" in {finding.code for finding in result.findings}
    assert not result.passed
    assert "✗ is it given scores?" in str(result)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.spare = net(), nn.Linear(3, 3)

    def forward(self, x):
        return self.net(x)


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net(drop=0.0)

    def forward(self, x):
        return self.net(0 * x)


CASES = {
    "unused": (Unused, "does one reach every parameter?"),
    "blind": (Blind, "does the model look at them?"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found_by_its_question(case):
    make, question = CASES[case]
    torch.manual_seed(0)
    assert question in found(dx.checkup(make(), (X, Y), nn.CrossEntropyLoss()))


def test_scrambled_rows_and_a_first_loss_far_off_are_found():
    class Scrambled(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.last = nn.GRU(5, 6), nn.Linear(12, 4)

        def forward(self, x):
            states, _ = self.read(x.view(len(x), 2, 5).transpose(0, 1))
            return 50 * self.last(states.view(len(x), -1))

    torch.manual_seed(0)
    result = dx.checkup(Scrambled(), (X, Y), F.cross_entropy)
    assert {"is each row answered by itself?", "is the first loss about chance?"} <= found(result)
    assert "D19" in {finding.code for finding in result.findings}


def test_a_step_far_beyond_the_curvature_is_found_with_its_optimizer_alone():
    model = net(drop=0.0)
    large = torch.optim.SGD(model.parameters(), lr=300.0)
    small = torch.optim.SGD(model.parameters(), lr=0.01)
    question = "does a step keep the loss from rising?"
    assert outcomes(dx.checkup(model, (X, Y), F.cross_entropy, large))[question] == "finding"
    assert outcomes(dx.checkup(model, (X, Y), F.cross_entropy, small))[question] == "pass"
    assert question not in outcomes(dx.checkup(model, (X, Y), F.cross_entropy))


def test_infinite_inputs_and_one_label_are_found():
    wild = X.clone()
    wild[3, 2] = float("inf")
    assert "are all values finite?" in found(dx.checkup(net(), (wild, Y), F.cross_entropy))
    same = dx.checkup(net(), (X, torch.zeros_like(Y)), F.cross_entropy)
    assert "is there more than one?" in found(same)


class WithLabels(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x, labels=None):
        scores = self.net(x)
        return {"loss": F.cross_entropy(scores, labels), "logits": scores}


def of_the_model(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def with_another_name(m, b):
    return F.cross_entropy(m(b[0]), b[1])


FORMS = {
    "a module": (net, (X, Y), nn.CrossEntropyLoss()),
    "a function of torch": (net, [X, Y], F.cross_entropy),
    "of output and target": (net, (X, Y), lambda z, y: F.cross_entropy(z, y) * 2),
    "of the model": (net, (X, Y), of_the_model),
    "of the model by another name": (net, (X, Y), with_another_name),
    "a mapping": (WithLabels, {"x": X, "labels": Y}, lambda output, _: output["loss"]),
    "a mapping and the model": (WithLabels, {"x": X, "labels": Y}, lambda m, b: m(**b)["loss"]),
    "a tensor": (lambda: nn.Linear(10, 10), X, F.mse_loss),
    "twice called": (net, (X, Y), lambda model, b: of_the_model(model, b) + model(b[0]).mean() * 0),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_may_have_any_of_its_forms(form):
    make, batch, loss_fn = FORMS[form]
    result = dx.checkup(make(), batch, loss_fn)
    assert found(result) <= {"can this batch be fitted?"}, str(result)
    assert outcomes(result)["is it finite?"] == "pass"


def state(model, optimizer):
    tensors = [*model.parameters(), *model.buffers()]
    return (
        [t.detach().clone() for t in tensors],
        [t._version for t in tensors],
        [t.grad for t in tensors],
        [m.training for m in model.modules()],
        repr(optimizer.state_dict()),
        torch.get_rng_state(),
        random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002
    )


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("cls", [torch.optim.AdamW, torch.optim.LBFGS])
def test_model_optimizer_random_state_and_streams_are_bit_equal_afterwards(cls, capsys):
    class Talking(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net(drop=0.5)

        def forward(self, x):
            print("a line of the program's")  # noqa: T201
            random.random()
            return self.net(x)

    model = Talking()
    model.net[0].eval()
    optimizer = cls(model.parameters(), lr=0.01)
    x = X.clone()
    before = state(model, optimizer)
    dx.checkup(model, (x, Y), nn.CrossEntropyLoss(), optimizer)
    assert equal(before, state(model, optimizer))
    assert torch.equal(x, X)
    assert capsys.readouterr() == ("", "")


def test_the_optimizers_settings_and_state_are_those_of_the_copy():
    model = net(drop=0.0)
    optimizer = torch.optim.Adam([{"params": model[0].parameters(), "lr": 0.5}], lr=0.1)
    result = dx.checkup(model, (X, Y), F.cross_entropy, optimizer)
    assert "does it hold all weights?" in found(result)
    (held,) = result.record.optimizers.values()
    assert held.cls == "Adam"
    assert held.lrs[0][1] == 0.5


@pytest.mark.parametrize(
    ("make", "batch", "loss_fn", "said"),
    [
        (net, (X, Y), lambda z, _: z.detach().sum(), "without a gradient"),
        (net, (X, Y), lambda z, _: z, "an answer of shape"),
        (net, (X,), nn.CrossEntropyLoss(), "It was tried"),
        (nn.Flatten, (X, Y), lambda z, _: z.sum(), "without a gradient"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_a_reason(make, batch, loss_fn, said):
    with pytest.raises(CallError, match=said):
        dx.checkup(make(), batch, loss_fn)


def test_a_loss_that_reaches_the_model_by_a_variable_is_refused():
    model = net()

    def penalised(output, target):
        return F.cross_entropy(output, target) + model[0].weight.pow(2).sum()

    with pytest.raises(CallError, match="by a variable"):
        dx.checkup(model, (X, Y), penalised)
    assert model[0].weight.grad is None


def test_inside_a_watched_run_it_is_not_seen(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with dx.watch(model, optimizer, record=tmp_path / "run.dx", quiet=True) as run:
        dx.checkup(model, (X, Y), F.cross_entropy, optimizer)
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()
    assert run.record.backwards == 1
    assert run.record.steps == 1


def test_every_question_rests_on_a_rule_or_a_probe():
    codes = {rule.code for rule in all_rules()}
    for question in QUESTIONS:
        assert question.judge is not None or question.codes, question.text
        assert (question.judge is None) == (not question.probe)
    asked = {code for question in QUESTIONS for code in question.codes.split()}
    assert {"D19", "N01", "N05", "R02", "A08", "L01"} <= asked & codes
    assert len(QUESTIONS) >= 30


PROGRAM = """
import torch
from torch import nn

def parts():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3){last})
    x, y = torch.randn(32, 4), torch.arange(32) % 3
    return model, nn.CrossEntropyLoss(), (x, y), torch.optim.SGD(model.parameters(), lr=0.01)

def wrong():
    return 1
"""


@pytest.mark.parametrize(
    ("place", "last", "status"),
    [("shop:parts", "", 0), ("shop.py:parts", ", nn.Softmax(1)", 1)],
    ids=["healthy", "sick"],
)
def test_the_command_prints_the_table_and_tells_by_its_status(
    place, last, status, tmp_path, monkeypatch
):
    (tmp_path / "shop.py").write_text(PROGRAM.replace("{last}", last))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "shop", raising=False)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    result = CliRunner().invoke(torchdx, ["checkup", place], standalone_mode=False)
    assert result.return_value == status, result.output
    assert "torchdx checkup" in result.output
    assert ("✗" in result.output) == bool(status)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("shop", "MODULE:FUNCTION"),
        ("nothere:parts", "no module 'nothere'"),
        ("nothere.py:parts", "no file nothere.py"),
        ("shop:missing", "no function 'missing'"),
        ("shop:wrong", "it returned a int"),
    ],
)
def test_a_wrong_place_is_told(place, said, tmp_path, monkeypatch):
    (tmp_path / "shop.py").write_text(PROGRAM.replace("{last}", ""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    result = CliRunner().invoke(torchdx, ["checkup", place], standalone_mode=False)
    assert isinstance(result.exception, CallError)
    assert said in str(result.exception)
