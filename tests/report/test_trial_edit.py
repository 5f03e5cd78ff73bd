import io
import re

from rich.console import Console

from torchdx.graph.model import Line
from torchdx.report.trial import not_tried
from torchdx.rules.base import Finding, Prescription
from torchdx.trials.edits import edit_of


def test_a_line_longer_than_the_terminal_shows_what_is_changed_in_it(tmp_path):
    path = tmp_path / "train.py"
    layers = ", ".join(f"nn.Linear({n}, {n})" for n in range(10, 20))
    path.write_text(f"net = nn.Sequential({layers}, nn.Tanh())\n")
    prescription = Prescription("linear_head", "take it out", where="Tanh", once="pass")
    finding = Finding("", line=Line(str(path), 1), prescriptions=(prescription,))
    out = Console(width=80, file=io.StringIO())
    not_tried(finding, edit_of(finding, prescription, tmp_path), out)
    said = re.sub(r"\s+", "", out.file.getvalue())
    assert "nn.Tanh())" in said
    assert "nn.Identity())" in said
    assert all(len(line) <= 80 for line in out.file.getvalue().splitlines())
