import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import findings, observed
from torchdx.graph.model import Line
from torchdx.rules.base import Finding, Prescription
from torchdx.trials.edits import Edit, edit_of


def edited(tmp_path, text, number, change, told="", **named):
    """The lines that an edit puts in; None where there is none."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text).lstrip())
    finding = Finding("", line=Line(str(path), number, ""))
    edit = edit_of(finding, Prescription(change, told, **named), tmp_path)
    if not isinstance(edit, Edit):
        return None
    lines = edit.diff.splitlines()
    return [s[1:] for s in lines if s[0] == "+" and not s.startswith("+++")]


@pytest.mark.parametrize(
    ("line", "change", "named", "wanted"),
    [
        ("loss = F.nll_loss(out, y)", "cross_entropy",
         {"told": "use cross_entropy, or log_softmax before nll_loss"},
         "loss = F.cross_entropy(out, y)"),
        ("nn.Softmax(dim=1),", "cross_entropy",
         {"told": "take log_softmax in place of softmax before nll_loss", "once": "pass"},
         "nn.LogSoftmax(dim=1),"),
        ("loss = F.cross_entropy(out, y)", "nll_loss", {}, "loss = F.nll_loss(out, y)"),
        ("out = F.softmax(x, dim=0)", "softmax_dim", {"to": "-1"}, "out = F.softmax(x, dim=-1)"),
        ("layers = nn.LogSoftmax()", "softmax_dim", {"to": "-1"},
         "layers = nn.LogSoftmax(dim=-1)"),
        ("out = nn.Softmax(dim=1)", "sigmoid", {"once": "pass"}, "out = nn.Sigmoid()"),
        ("out = F.softmax(x, dim=1)", "sigmoid", {"once": "line"}, "out = F.sigmoid(x)"),
        ("out = x.softmax(1)", "sigmoid", {"once": "line"}, "out = x.sigmoid()"),
        ("loss.backward()", "loss_scale", {"to": "1/8"}, "(loss / 8).backward()"),
        ("loss = nn.CrossEntropyLoss(weight=w, reduction='sum')", "class_weights", {},
         "loss = nn.CrossEntropyLoss(reduction='sum')"),
        ("loss = F.mse_loss(pred, y)", "same_shape", {},
         "loss = F.mse_loss(pred, y.view_as(pred))"),
        ("loss = ((pred - y) ** 2).mean()", "same_shape", {},
         "loss = ((pred - y.view_as(pred)) ** 2).mean()"),
        ("out = F.relu(self.fc(x))", "linear_head", {"where": "Relu", "once": "line"},
         "out = self.fc(x)"),
        ("net = nn.Sequential(a, nn.Tanh())", "linear_head", {"where": "Tanh", "once": "pass"},
         "net = nn.Sequential(a, nn.Identity())"),
        ("d = (a - b).pow(2).sum(1).sqrt()", "stable_operation", {"where": "Sqrt"},
         "d = ((a - b).pow(2).sum(1) + 1e-12).sqrt()"),
        ("with torch.autocast('cpu', dtype=torch.float16): pass", "grad_scaler", {},
         "with torch.autocast('cpu', dtype=torch.bfloat16): pass"),
    ],
)  # fmt: skip
def test_an_edit_changes_the_one_place(tmp_path, line, change, named, wanted):
    assert edited(tmp_path, line, 1, change, **named) == [wanted]


@pytest.mark.parametrize(
    ("line", "change", "named"),
    [
        ("loss = F.cross_entropy(out, y, label_smoothing=0.1)", "nll_loss", {}),
        ("loss = F.mse_loss(net(x), y)", "same_shape", {}),
        ("a, b = F.relu(x), F.relu(y)", "linear_head", {"where": "Relu", "once": "line"}),
        ("out = F.relu(self.fc(x))", "linear_head", {"where": "Relu"}),
        ("net = nn.Sequential(a, nn.Tanh())", "linear_head", {"where": "Tanh", "once": "line"}),
        ("out = nn.Softmax(dim=1)", "sigmoid", {}),
        ("out = nn.Softmax(dim=1)", "cross_entropy",
         {"told": "take log_softmax in place of softmax before nll_loss"}),
        ("out = self.dropout(self.fc(x))", "linear_head", {"where": "dropout"}),
        ("a, b = nn.CrossEntropyLoss(weight=w), nn.NLLLoss(weight=w)", "class_weights", {}),
        ("x = a / b", "stable_operation", {"where": "Div"}),
        ("losses[0].backward()", "loss_scale", {"to": "1/8"}),
    ],
)  # fmt: skip
def test_where_there_is_doubt_there_is_no_edit(tmp_path, line, change, named):
    assert edited(tmp_path, line, 1, change, **named) is None


SHARED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 1)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.first(x))
        return self.act(self.last(x))
"""


def test_of_a_module_that_is_called_on_several_lines_the_last_call_is_taken_out(tmp_path):
    named = {"where": "Relu", "once": "line"}
    assert edited(tmp_path, SHARED, 9, "linear_head", **named) == ["        return self.last(x)"]


def test_a_call_of_what_may_be_another_module_is_left_as_it_is(tmp_path):
    text = SHARED + "        self.act = nn.Dropout()\n"
    assert edited(tmp_path, text, 9, "linear_head", where="Relu", once="line") is None


# -- what was done is what is written --------------------------------------------------------------


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 1)])
        self.act = nn.ReLU()

    def forward(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return x


class OnLines(Looped):
    def forward(self, x):
        x = self.act(self.layers[0](x))
        return self.act(self.layers[1](x))


class AtTheEnd(Looped):
    def __init__(self):
        super().__init__()
        self.end = nn.ReLU()

    def forward(self, x):
        return self.end(self.layers[1](self.layers[0](x)))


@pytest.mark.parametrize(("model", "once"), [(Looped, ""), (OnLines, "line"), (AtTheEnd, "pass")])
def test_a_rule_tells_how_often_the_last_function_ran(tmp_path, model, once):
    def program():
        torch.manual_seed(0)
        net, x = model(), torch.randn(16, 4)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            functional.mse_loss(net(x), torch.linspace(-2, 2, 16)[:, None]).backward()
            optimizer.step()

    (finding,) = findings("L13", observed(program, tmp_path / "run.dx"))
    (prescription,) = finding.prescriptions
    assert prescription.once == once
    assert ("that one alone" in prescription.text) == (not once)


def test_a_function_that_a_loop_runs_again_gets_no_edit(tmp_path):
    text = """
    class Net(nn.Module):
        def __init__(self):
            self.act = nn.ReLU()
        def forward(self, x):
            for layer in self.layers:
                x = self.act(layer(x))
            return x
    """
    assert edited(tmp_path, text, 6, "linear_head", where="Relu") is None
