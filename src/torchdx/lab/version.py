"""What the rows of a study depend on, as a short hash: rows of another version are run again."""

import ast
import hashlib
import importlib.util
from pathlib import Path

from torchdx import __version__
from torchdx.lab.study import Study

_LAB = "torchdx.lab."
_JUDGES = frozenset({"rows", "statistics", "study"})  # they do not make rows
DRAWS = "figure"  # functions whose names begin so only draw


def version_of(study: Study) -> str:
    """Of a study's file, of what it takes from the lab, and of torchdx.

    Comments, docstrings, layout and what draws (`figure`, `figure_...`) do not count; claims do.
    """
    parts = [__version__, _essence(study.file)]
    parts += [_essence(path) for path in _taken(study.file)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _essence(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _idle(part)]
    return ast.dump(tree)


def _idle(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.FunctionDef) and node.name.startswith(DRAWS)


def _taken(path: Path) -> list[Path]:
    """The files of the lab that a study imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    own = {
        m
        for m in modules
        if m.startswith(_LAB) and m.removeprefix(_LAB).split(".")[0] not in _JUDGES
    }
    found = {spec.origin for name in own if (spec := _spec(name)) and spec.origin}
    return [Path(origin) for origin in sorted(found)]


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a function, not a module
        return None
