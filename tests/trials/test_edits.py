"""The edit of a finding: a diff that `git apply` takes, of the line that was seen."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchdx.graph.model import Line
from torchdx.rules.base import Finding, Prescription
from torchdx.trials import edits
from torchdx.trials.edits import Change, Edit, Source, edit_of, editor

PROGRAM = """import torch
from torch import nn

# Größe des Stapels: π Zeilen
größe, criterion = 8, nn.CrossEntropyLoss(reduction="sum")
print("fertig")
"""
MEAN = Prescription("reduction", "use the mean")
NUMBER = 5


def finding(path: Path, text: str = PROGRAM, number: int = NUMBER) -> Finding:
    """What a rule says of a line, as it was when the program ran."""
    line = Line(str(path), number, "<module>", text.splitlines()[number - 1])
    return Finding("a sum", line=line, prescriptions=(MEAN,))


def git(folder: Path, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run(
        ["git", *arguments], cwd=folder, input=text, capture_output=True, check=False
    )


def applied(folder: Path, edit: object) -> None:
    assert isinstance(edit, Edit), edit
    result = git(folder, "apply", "-", text=edit.diff.encode())
    assert result.returncode == 0, result.stderr.decode() + edit.diff


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    return path


def test_git_takes_the_diff_and_one_line_is_changed(program):
    edit = edit_of(finding(program), MEAN, program.parent)
    applied(program.parent, edit)
    assert program.read_text() == PROGRAM.replace('"sum"', '"mean"')
    assert edit.words == "use the mean (train.py:5)"
    changed = [line for line in edit.diff.splitlines() if line[0] in "+-"]
    assert len(changed) == 4  # two of the head


@pytest.mark.parametrize(
    "text",
    [
        PROGRAM.replace("\n", "\r\n"),
        PROGRAM.rstrip("\n"),
        PROGRAM.replace("fertig", "a\u2028b\x0cc\x1cd"),
        PROGRAM.replace('print("fertig")\n', 'x = """\n\x0c\n\u2028"""\n' + "y = 1\n" * 9),
        PROGRAM.replace("# Größe", "# 😀 Größe \x0c"),
        PROGRAM + "\n\n",
    ],
    ids=["CRLF", "no newline at the end", "separators", "long", "wide", "empty lines"],
)
def test_all_else_stays_to_the_byte(program, text):
    program.write_bytes(text.encode())
    applied(program.parent, edit_of(finding(program, PROGRAM), MEAN, program.parent))
    assert program.read_bytes() == text.replace('"sum"', '"mean"').encode()


def test_an_edit_of_the_last_line_that_has_no_end(program):
    text = "from torch import nn\ncriterion = nn.MSELoss(reduction='sum')"
    program.write_text(text)
    applied(program.parent, edit_of(finding(program, text, 2), MEAN, program.parent))
    assert program.read_text() == text.replace("'sum'", '"mean"')


@pytest.mark.parametrize("name", ["my train.py", "größe.py", "package/inner/train.py"])
def test_names_of_files_that_are_odd(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROGRAM)
    applied(tmp_path, edit_of(finding(path), MEAN, tmp_path))
    assert '"mean"' in path.read_text()


def test_in_a_folder_of_a_repository(tmp_path):
    git(tmp_path, "init", "-q")
    path = tmp_path / "src" / "train.py"
    path.parent.mkdir()
    path.write_text(PROGRAM)
    applied(path.parent, edit_of(finding(path), MEAN, path.parent))
    assert '"mean"' in path.read_text()
    path.write_text(PROGRAM)
    applied(tmp_path, edit_of(finding(path), MEAN, tmp_path))
    assert '"mean"' in path.read_text()


def test_a_line_that_has_moved_is_found(program):
    known = finding(program)
    program.write_text("# a comment\n" * 3 + PROGRAM)
    edit = edit_of(known, MEAN, program.parent)
    applied(program.parent, edit)
    assert edit.words.endswith("(train.py:8)")


@pytest.mark.parametrize(
    "text",
    [
        PROGRAM.replace('"sum"', '"mean"'),
        PROGRAM.replace("größe, criterion", "criterion"),
        "# other\n" + 2 * PROGRAM,
        "",
    ],
    ids=["edited already", "changed", "twice", "empty"],
)
def test_a_line_that_is_no_longer_there_is_not_guessed(program, text):
    known = finding(program)
    program.write_text(text)
    edit = edit_of(known, MEAN, program.parent)
    assert edit == ("by hand, for the file is not the one that was run: use the mean (train.py:5)")


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\x00", PROGRAM.encode() + b"def"], ids=["gone", "binary", "broken"]
)
def test_a_file_that_cannot_be_read_is_told(program, content):
    known = finding(program)
    if content is None:
        program.unlink()
    else:
        program.write_bytes(content)
    edit = edit_of(known, MEAN, program.parent)
    assert edit == "by hand, for the file cannot be read: use the mean (train.py:5)"


def test_without_a_line_or_an_editor_the_words_alone_are_given(program):
    alone = Finding("no line", prescriptions=(MEAN,))
    assert edit_of(alone, MEAN, program.parent) == "by hand: use the mean"
    other = Prescription("of nobody", "do something")
    assert edit_of(finding(program), other, program.parent) == "by hand: do something (train.py:5)"


def test_a_line_that_leaves_it_open_is_told(tmp_path):
    path = tmp_path / "train.py"
    text = "from torch import nn\ncriterion = nn.MSELoss()\n"
    path.write_text(text)
    edit = edit_of(finding(path, text, 2), MEAN, tmp_path)
    assert edit == "by hand, for that line leaves it open: use the mean (train.py:2)"


def test_an_editor_that_leaves_no_program_gives_no_edit(program, monkeypatch):
    monkeypatch.setattr(edits, "_EDITORS", dict(edits._EDITORS))

    @editor("to be broken")
    def _(source: Source, prescription: Prescription) -> Iterator[Change]:
        yield next(source.calls("CrossEntropyLoss")), "nn.("

    broken = Prescription("to be broken", "break it")
    assert isinstance(edit_of(finding(program), broken, program.parent), str)


def test_several_nodes_of_one_line_are_replaced_together(program, monkeypatch):
    monkeypatch.setattr(edits, "_EDITORS", dict(edits._EDITORS))

    @editor("two")
    def _(source: Source, prescription: Prescription) -> Iterator[Change]:
        call = next(source.calls("CrossEntropyLoss"))
        statement = source.statement()
        assert source.segment(statement).startswith("größe, criterion")
        yield call.func, "nn.NLLLoss"
        yield call.keywords[0].value, '"none"'

    edit = edit_of(finding(program), Prescription("two", "both"), program.parent)
    applied(program.parent, edit)
    assert 'größe, criterion = 8, nn.NLLLoss(reduction="none")' in program.read_text()
