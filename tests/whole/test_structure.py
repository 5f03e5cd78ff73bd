"""What holds for the project as a whole: imports, rules' pages, exports, documents."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import torchdx
from torchdx.rules.base import FAMILIES, all_rules

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "torchdx"
MODULES = sorted(SOURCE.rglob("*.py"))

# Each layer may import itself and those before it.
LAYERS = (
    ("errors",),
    ("graph.model",),
    ("record",),
    ("rules",),
    ("report",),
    ("integrations",),
    ("events", "graph", "instruments", "probes", "curvatures"),
    ("observer",),
    ("checkups",),
    ("notebook", "boot", "demo"),
    ("treatments",),
    ("trials",),
    ("report.trial",),
    ("lab",),
    ("cli", "__main__"),
)
NO_TORCH = (
    *("record", "rules", "report", "errors", "graph.model", "cli", "boot", "integrations"),
    *("trials.plan", "trials.measures", "trials.verdict", "trials.edits", "trials.runner"),
    "trials.revisit",
    "trials.kept",
)


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def layer_of(module: str) -> int:
    fitting = [
        (len(prefix), level)
        for level, prefixes in enumerate(LAYERS)
        for prefix in prefixes
        if module == prefix or module.startswith(prefix + ".")
    ]
    return max(fitting)[1]


def imports_of(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_back_along_the_way_of_the_data(path):
    module = name_of(path)
    if not module or "site" in module:
        pytest.skip("the package itself; the start-up file of children")
    for imported in imports_of(path, top_only=True):
        if imported.startswith("torchdx.") and not imported.endswith("__version__"):
            inner = imported.removeprefix("torchdx.")
            assert layer_of(inner) <= layer_of(module), f"{module} imports {inner}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_records_rules_and_reports_live_without_torch(path):
    module = name_of(path)
    if any(module == part or module.startswith(part + ".") for part in NO_TORCH):
        torch_imports = {i for i in imports_of(path, top_only=True) if i.split(".")[0] == "torch"}
        assert not torch_imports


HEADINGS = (
    "## What is seen",
    "## Why the net does not learn",
    "## When this is wrong",
    "## What to try",
    "## Sources",
)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_every_rule_has_its_page(rule):
    first, *_ = rule.page.splitlines()
    assert re.fullmatch(rf"{rule.name} \({rule.code}\): .+\.", first), first
    assert [line for line in rule.page.splitlines() if line.startswith("#")] == list(HEADINGS)
    assert rule.code[0] in FAMILIES
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_every_rule_has_its_four_tests(rule):
    home = Path(rule.check.__code__.co_filename)
    tests = ROOT / "tests" / "rules" / home.parent.name / f"test_{home.stem}.py"
    assert tests.exists()
    assert tests.read_text().count("\ndef test_") >= 4


def test_what_a_rule_silences_is_another_rule():
    codes = {rule.code for rule in all_rules()}
    for rule in all_rules():
        assert rule.silences <= codes - {rule.code}, rule.code


def test_the_public_names_are_these():
    assert torchdx.__all__ == [
        *("Checkup", "Curvature", "Watch", "__version__"),
        *("checkup", "curvature", "spectrum", "watch"),
    ]
    for name in torchdx.__all__:
        assert getattr(torchdx, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        torchdx.nothing  # noqa: B018


def test_the_readme_names_every_rule():
    text = (ROOT / "README.md").read_text()
    missing = [rule.code for rule in all_rules() if rule.code not in text]
    assert not missing


def test_every_fault_is_a_pair_of_programs_that_its_manifest_describes():
    from faults.scoreboard import faults

    listed = faults()
    assert listed
    for fault in listed:
        sick, twin = fault.sick.read_text(), fault.twin.read_text()
        assert sick != twin
        for snippet in fault.lines:
            assert sum(snippet in line for line in sick.splitlines()) >= 1, (fault.name, snippet)
    names = {fault.name for fault in listed}
    assert {p.stem for p in (ROOT / "faults" / "sick").glob("*.py")} == names
    assert {p.stem for p in (ROOT / "faults" / "twins").glob("*.py")} == names


def test_what_is_made_from_the_rules_is_up_to_date():
    call = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    assert subprocess.run(call, check=False).returncode == 0, "run: python docs/generate.py"
