import textwrap

import pytest

from torchdx.graph.model import Line
from torchdx.rules.base import Finding, Prescription
from torchdx.trials.edits import Edit, edit_of


def edited(tmp_path, text, number, change, **told):
    """Lines that an edit takes away and puts in; None where there is none."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text).lstrip())
    line = Line(str(path), number, "")
    edit = edit_of(Finding("", line=line), Prescription(change, "", **told), tmp_path)
    if not isinstance(edit, Edit):
        return None
    return [s for s in edit.diff.splitlines() if s[0] in "+-" and s[:3] not in {"+++", "---"}]


LOOP = """
for x in rows:
    loss = f(x)
    loss.backward()
    opt.step()
"""


def test_a_missing_zero_grad_comes_before_backward(tmp_path):
    assert edited(tmp_path, LOOP, 3, "zero_grad") == ["+    opt.zero_grad()"]


def test_zero_grad_behind_backward_changes_places(tmp_path):
    text = LOOP.replace("    opt.step", "    opt.zero_grad()\n    opt.step")
    changed = edited(tmp_path, text, 4, "zero_grad")
    assert sorted(changed) == ["+    opt.zero_grad()", "-    opt.zero_grad()"]


def test_a_missing_step_comes_behind_backward(tmp_path):
    text = LOOP.replace("    opt.step()\n", "").replace(
        "    loss =", "    opt.zero_grad()\n    loss ="
    )
    assert edited(tmp_path, text, 4, "step") == ["+    opt.step()"]


def test_without_a_name_for_the_optimizer_there_is_no_edit(tmp_path):
    assert edited(tmp_path, LOOP.replace("    opt.step()\n", ""), 3, "step") is None


def test_a_schedule_moves_behind_the_batches(tmp_path):
    text = """
    for epoch in range(3):
        for x in rows:
            opt.step()
            scheduler.step()
        judge()
    """
    moved = ["-        scheduler.step()", "+    scheduler.step()"]
    assert edited(tmp_path, text, 4, "scheduler") == moved


@pytest.mark.parametrize(
    ("line", "change", "told", "after"),
    [
        ("o = SGD(p, lr=0.6)", "step_size", {"to": "0.1"}, "o = SGD(p, lr=0.06)"),
        ("o = SGD(p, lr=rate)", "step_size", {"to": "0.1"}, None),
        ("f(weight_decay=1)", "weight_decay", {"to": "0.01"}, "f(weight_decay=0.01)"),
        ("f(eps=1.)", "optimizer_setting", {"where": "eps", "to": "1e-8"}, "f(eps=1e-8)"),
        ("clip_grad_norm_(p, 0.01)", "clipping", {"to": "50"}, "clip_grad_norm_(p, 0.5)"),
        ("d = nn.Dropout(0.8)", "dropout", {"to": "x0.5"}, "d = nn.Dropout(0.4)"),
        ("f(momentum=1)", "norm_momentum", {"to": "0.1"}, "f(momentum=0.1)"),
        ("a, b = nn.BatchNorm1d(2, momentum=0.9), nn.BatchNorm1d(3)", "norm_momentum",
         {"to": "0.1"}, "a, b = nn.BatchNorm1d(2, momentum=0.1), nn.BatchNorm1d(3)"),
        ("l = DataLoader(rows)", "shuffle", {}, "l = DataLoader(rows, shuffle=True)"),
        ("l = DataLoader(rows, sampler=s)", "shuffle", {}, None),
        ("g = nn.GRU(2, 3)", "batch_first", {"to": "True"}, "g = nn.GRU(2, 3, batch_first=True)"),
        ("a.requires_grad = False", "requires_grad", {"to": "False"}, "a.requires_grad_(False)"),
        ("x = F.dropout(x, 0.5)", "dropout_switch", {"to": "self.training"}, None),
    ],
)  # fmt: skip
def test_settings_on_the_line(tmp_path, line, change, told, after):
    expected = None if after is None else [f"-{line}", f"+{after}"]
    assert edited(tmp_path, line + "\n", 1, change, **told) == expected


def test_of_norms_that_are_all_changed_in_the_trial_none_is_edited_alone(tmp_path):
    text = "a = nn.BatchNorm1d(2, momentum=0.9)\nb = nn.BatchNorm1d(2, momentum=0.9)\n"
    assert edited(tmp_path, text, 1, "norm_momentum", to="0.1") is None


def test_dropout_in_a_method_follows_the_mode(tmp_path):
    text = """
    class Net:
        def forward(self, x):
            return F.dropout(x, 0.5)
    """
    changed = edited(tmp_path, text, 3, "dropout_switch", to="self.training")
    assert changed[1] == "+        return F.dropout(x, 0.5, training=self.training)"


def test_a_state_dict_is_copied_with_what_is_imported(tmp_path):
    plain = edited(tmp_path, "s = m.state_dict()\n", 1, "copy_state")
    assert plain[1] == "+s = {key: value.clone() for key, value in m.state_dict().items()}"
    copied = edited(tmp_path, "import copy\ns = m.state_dict()\n", 2, "copy_state")
    assert copied[1] == "+s = copy.deepcopy(m.state_dict())"
