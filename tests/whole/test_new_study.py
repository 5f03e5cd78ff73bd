import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "new_study.py"


@pytest.fixture(name="script")
def _script():
    spec = importlib.util.spec_from_file_location("new_study", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_study_that_has_just_begun_is_in_order(script, tmp_path):
    paths = script.begin("my-finding", tmp_path)
    config = ["--config", str(SCRIPT.parents[1] / "pyproject.toml")]
    checks = (["check", "--ignore", "INP001", paths[0]], ["format", "--check", *paths])
    for call in checks:
        command = [sys.executable, "-m", "ruff", *call, *config]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout


def test_a_study_that_has_just_begun_can_be_judged(script, tmp_path):
    from torchdx.lab.rows import Rows
    from torchdx.lab.statistics import judge
    from torchdx.lab.study import find_study

    study = find_study(str(script.begin("my-finding", tmp_path)[0]))
    rows = Rows.of({"seed": s, **row} for s in range(5) for row in study.run("quick", s))
    assert [judge(claim, rows).word for claim in study.claims] == ["reproduced", "reproduced"]
    assert study.figure(rows).says.startswith("Mean loss: plain")
    sys.modules.pop("my_finding")


def test_its_test_passes_once_the_study_is_in_its_place(script, tmp_path):
    study, test = script.begin("my-finding", tmp_path)
    text = test.read_text().replace(
        "from torchdx.lab.studies.my_finding import", "from my_finding import"
    )
    test.write_text(text)
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    ended = subprocess.run(
        call,
        cwd=study.parent,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(study.parent)},
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("name", "said"), [("My finding", "no name for a study"), ("taken", "already")]
)
def test_what_is_no_name_or_there_already_is_refused(script, tmp_path, name, said):
    script.begin("taken", tmp_path)
    with pytest.raises(SystemExit, match=said):
        script.begin(name, tmp_path)
