import textwrap

import pytest

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
         {"told": "take log_softmax in place of softmax before nll_loss"}, "nn.LogSoftmax(dim=1),"),
        ("loss = F.cross_entropy(out, y)", "nll_loss", {}, "loss = F.nll_loss(out, y)"),
        ("out = F.softmax(x, dim=0)", "softmax_dim", {"to": "-1"}, "out = F.softmax(x, dim=-1)"),
        ("layers = nn.LogSoftmax()", "softmax_dim", {"to": "-1"},
         "layers = nn.LogSoftmax(dim=-1)"),
        ("out = nn.Softmax(dim=1)", "sigmoid", {}, "out = nn.Sigmoid()"),
        ("out = F.softmax(x, dim=1)", "sigmoid", {}, "out = F.sigmoid(x)"),
        ("out = x.softmax(1)", "sigmoid", {}, "out = x.sigmoid()"),
        ("loss.backward()", "loss_scale", {"to": "1/8"}, "(loss / 8).backward()"),
        ("loss = nn.CrossEntropyLoss(weight=w, reduction='sum')", "class_weights", {},
         "loss = nn.CrossEntropyLoss(reduction='sum')"),
        ("loss = F.mse_loss(pred, y)", "same_shape", {},
         "loss = F.mse_loss(pred, y.view_as(pred))"),
        ("loss = ((pred - y) ** 2).mean()", "same_shape", {},
         "loss = ((pred - y.view_as(pred)) ** 2).mean()"),
        ("out = F.relu(self.fc(x))", "linear_head", {"where": "Relu"}, "out = self.fc(x)"),
        ("net = nn.Sequential(a, nn.Tanh())", "linear_head", {"where": "Tanh"},
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
        ("a, b = F.relu(x), F.relu(y)", "linear_head", {"where": "Relu"}),
        ("out = self.dropout(self.fc(x))", "linear_head", {"where": "dropout"}),
        ("a, b = nn.CrossEntropyLoss(weight=w), nn.NLLLoss(weight=w)", "class_weights", {}),
        ("x = a / b", "stable_operation", {"where": "Div"}),
        ("losses[0].backward()", "loss_scale", {"to": "1/8"}),
    ],
)
def test_where_there_is_doubt_there_is_no_edit(tmp_path, line, change, named):
    assert edited(tmp_path, line, 1, change, **named) is None
