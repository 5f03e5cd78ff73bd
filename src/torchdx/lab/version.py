"""What the rows of a study depend on, as a short hash: rows of another version are run again."""

import ast
import hashlib
import importlib.util
from pathlib import Path

from torchdx import __version__
from torchdx.lab.study import Study

_MAKERS = ("torchdx.lab.", "torchdx.treatments.", "torchdx.curvatures.")
_JUDGES = tuple(f"torchdx.lab.{name}" for name in ("rows", "statistics", "study"))  # make no rows
_WORDS = frozenset({"title", "source", "paper", "setting", "amended"})  # of a study, for readers
DRAWS = "figure"  # functions whose names begin so only draw


def version_of(study: Study) -> str:
    """Of a study's file, of what it takes from the lab, treatments and curvatures, and of torchdx.

    Imports are followed as far as they stay there. Comments, docstrings, layout, what draws
    (`figure`, `figure_...`) and what a study says of itself do not count; claims do.
    """
    parts = [__version__, *(_essence(path) for path in files_behind(study.file))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def files_behind(path: Path) -> list[Path]:
    """A study's file, and those that its rows come out of."""
    found, open_ = [path], [path]
    while open_:
        new = [taken for taken in _taken(open_.pop()) if taken not in found]
        found += new
        open_ += new
    return [path, *sorted(found[1:])]


def _essence(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _idle(part)]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == Study.__name__:
            node.keywords[:] = [word for word in node.keywords if word.arg not in _WORDS]
    return _spelled(tree)


def _spelled(part: object) -> str:
    """A syntax tree as text, the same in every version of Python: what is empty is left out."""
    if isinstance(part, list):
        return "[" + ",".join(_spelled(each) for each in part) + "]"
    if not isinstance(part, ast.AST):
        return repr(part)
    filled = ((n, v) for n, v in ast.iter_fields(part) if v is not None and v != [])
    inside = ",".join(f"{name}={_spelled(value)}" for name, value in filled)
    return f"{type(part).__name__}({inside})"


def _idle(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.FunctionDef) and node.name.startswith(DRAWS)


def _taken(path: Path) -> list[Path]:
    """The files that a file imports and that make rows."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    }
    makers = {m for m in modules if m.startswith(_MAKERS) and not m.startswith(_JUDGES)}
    found = {spec.origin for name in makers if (spec := _spec(name)) and spec.origin}
    return [Path(origin) for origin in sorted(found)]


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:  # a function, not a module
        return None
