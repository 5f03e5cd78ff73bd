"""A place of its own for every arm: what the program writes does not meet the user's files.

The arm runs in a scratch folder that shows what the program's own folder holds: small files as
copies, larger ones and large folders as links. `torchdx.trials.redirecting` sees to what is written
behind a link, or by a path that leads elsewhere. Loggers are told to stay offline, and kept there.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torchdx.boot.lazy import after_import

COPIED = 1 << 20  # bytes: files up to this size are copied, larger ones linked
COPIES = 1 << 26  # bytes of all copies together
MAX_FILES = 2_000  # of a folder that is shown file by file
SKIPPED = frozenset({".torchdx", ".git", "__pycache__", ".venv", "node_modules"})

OFFLINE = {
    "WANDB_MODE": "disabled",
    "WANDB_SILENT": "true",
    "COMET_MODE": "disabled",
    "NEPTUNE_MODE": "offline",
    "CLEARML_OFFLINE_MODE": "1",
    "MLFLOW_TRACKING_URI": "file:mlruns",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLBACKEND": "Agg",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "TORCHDYNAMO_DISABLE": "1",
}


@dataclass
class _Left:
    """How many files may still be shown one by one, and how many bytes copied."""

    files: int
    copies: int


def show(folder: Path, scratch: Path) -> None:
    """Fill a scratch folder with what `folder` holds."""
    scratch.mkdir(parents=True, exist_ok=True)
    left = _Left(MAX_FILES, COPIES)
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name not in SKIPPED and not (scratch / entry.name).exists():
            _show(entry, scratch / entry.name, left)


def _show(entry: Path, place: Path, left: _Left) -> None:
    if entry.is_dir() and not entry.is_symlink() and _few(entry, left):
        place.mkdir()
        for inner in entry.iterdir():
            if inner.name not in SKIPPED:
                _show(inner, place / inner.name, left)
        return
    left.files -= 1
    try:
        size = entry.stat().st_size if entry.is_file() else COPIED + 1
        if size <= min(COPIED, left.copies):
            shutil.copy2(entry, place)
            left.copies -= size
        else:
            place.symlink_to(entry)
    except OSError:
        return  # not readable by us, nor by the program


def _few(folder: Path, left: _Left) -> bool:
    """Whether a folder holds no more files than may still be shown one by one."""
    count = 0
    for _, folders, files in os.walk(folder):
        count += len(files) + len(folders)
        if count > left.files:
            return False
    return True


def stay_offline() -> None:
    """What a program says in words of its own does not send a trial's runs to a server either."""
    after_import("wandb", _wandb)
    after_import("mlflow", _mlflow)


def _wandb(module: Any) -> None:
    init = module.init

    def disabled(*args: Any, **kwargs: Any) -> Any:
        return init(*args, **{**kwargs, "mode": "disabled"})

    module.init = disabled


def _mlflow(module: Any) -> None:
    def set_tracking_uri(uri: object) -> None:
        """It stays the arm's own folder, by `MLFLOW_TRACKING_URI`."""
        del uri

    for each in (module, getattr(module, "tracking", None)):
        if isinstance(each, ModuleType) and hasattr(each, "set_tracking_uri"):
            vars(each)["set_tracking_uri"] = set_tracking_uri


def limit_memory(gigabytes: float | None) -> None:
    """Let no more than this be allocated by this process; where the system can."""
    if gigabytes is None or sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # not on Windows

    most = int(gigabytes * (1 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
