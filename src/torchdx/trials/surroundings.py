"""A place of its own for every arm: what the program writes does not meet the user's files.

The arm runs in a scratch folder that shows what the program's own folder holds: small files as
copies, larger ones and large folders as links. What is opened for writing behind a link, or by a
path outside of the scratch folder, is written beside it instead, and found again there when it is
read. Loggers are told to stay offline.
"""

import builtins
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

COPIED = 1 << 20  # bytes: files up to this size are copied, larger ones linked
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


def show(folder: Path, scratch: Path) -> None:
    """Fill a scratch folder with what `folder` holds."""
    scratch.mkdir(parents=True, exist_ok=True)
    left = [MAX_FILES]
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name not in SKIPPED and not (scratch / entry.name).exists():
            _show(entry, scratch / entry.name, left)


def _show(entry: Path, place: Path, left: list[int]) -> None:
    if entry.is_dir() and not entry.is_symlink() and _few(entry, left):
        place.mkdir()
        for inner in entry.iterdir():
            if inner.name not in SKIPPED:
                _show(inner, place / inner.name, left)
        return
    left[0] -= 1
    try:
        if entry.is_file() and entry.stat().st_size <= COPIED:
            shutil.copy2(entry, place)
        else:
            place.symlink_to(entry)
    except OSError:
        return  # not readable by us, nor by the program


def _few(folder: Path, left: list[int]) -> bool:
    """Whether a folder holds no more files than may still be shown one by one."""
    count = 0
    for _, folders, files in os.walk(folder):
        count += len(files) + len(folders)
        if count > left[0]:
            return False
    return True


class Redirecting:
    """Sends what the program writes elsewhere into the scratch folder.

    written  paths that the program meant to write, outside of its scratch folder
    """

    def __init__(self, scratch: Path, own: tuple[Path, ...] = ()) -> None:
        self._scratch = scratch.resolve()
        free = (self._scratch, *(p.resolve() for p in own))
        self._free = (*(str(p) + os.sep for p in free), "/dev/", "/proc/")
        self._beside = self._scratch / ".elsewhere"
        self._open = io.open
        tempfile.tempdir = None  # the arm has its own, by TMPDIR
        self._temporary = tempfile.gettempdir() + os.sep
        self.written: list[str] = []

    def begin(self) -> None:
        """From now on, in this process."""
        builtins.open = self._opening
        io.open = self._opening
        os.makedirs = self._in_place(os.makedirs)
        os.mkdir = self._in_place(os.mkdir)
        os.replace = self._both(os.replace)
        os.rename = self._both(os.rename)
        os.remove = self._removing(os.remove)
        os.unlink = self._removing(os.unlink)

    def torch_too(self, torch: Any) -> None:
        """`torch.save` and `torch.load` by path go round Python's `open`."""
        save, load = torch.save, torch.load

        def saving(thing: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
            return save(thing, self.to_write(f), *args, **kwargs)

        def loading(f: Any, *args: Any, **kwargs: Any) -> Any:
            return load(self.to_read(f), *args, **kwargs)

        torch.save, torch.load = saving, loading

    def to_write(self, path: Any) -> Any:
        """Where what is written to `path` goes."""
        name = _name(path)
        if name is None:
            return path
        full = os.path.abspath(name)
        if full.startswith(self._free):
            if os.path.islink(full):
                os.unlink(full)  # the link, not what it points to
                return path
            if os.path.realpath(full).startswith(self._free):
                return path
        if full.startswith(self._temporary) and not os.path.exists(full):
            return path
        elsewhere = Path(str(self._beside) + full)
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        if name not in self.written:
            self.written.append(name)
        return str(elsewhere)

    def to_read(self, path: Any) -> Any:
        """Where what `path` names is found: beside, where the program has written it before."""
        name = _name(path)
        if name is None:
            return path
        elsewhere = str(self._beside) + os.path.abspath(name)
        return elsewhere if os.path.exists(elsewhere) else path

    def _opening(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(mode, str) and set(mode) & set("wax+"):
            target = self.to_write(file)
            if target is not file and set(mode) & set("a+") and "w" not in mode:
                _carry(_name(file), target)
            return self._open(target, mode, *args, **kwargs)
        return self._open(self.to_read(file), mode, *args, **kwargs)

    def _in_place(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def making(path: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(path)
            inside = name is None or os.path.abspath(name).startswith(self._free)
            if inside or os.path.isdir(path):
                return make(path, *args, **kwargs)
            return make(self.to_write(path), *args, **kwargs)

        return making

    def _both(self, move: Callable[..., Any]) -> Callable[..., Any]:
        def moving(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            return move(self.to_read(source), self.to_write(target), *args, **kwargs)

        return moving

    def _removing(self, remove: Callable[..., Any]) -> Callable[..., Any]:
        def removing(path: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(path)
            if name is None or os.path.abspath(name).startswith(self._free):
                return remove(path, *args, **kwargs)
            elsewhere = self.to_read(path)
            if elsewhere is path and not os.path.abspath(name).startswith(self._temporary):
                self.written.append(f"{name} (removal)")
                return None
            return remove(elsewhere, *args, **kwargs)

        return removing


def _name(path: Any) -> str | None:
    """A path as text; None for a number of an open file, or an open file."""
    if isinstance(path, str):
        return path
    if isinstance(path, os.PathLike):
        name = os.fspath(path)
        return name if isinstance(name, str) else None
    return None


def _carry(name: str | None, target: str) -> None:
    if name is not None and os.path.exists(name) and not os.path.exists(target):
        shutil.copy2(name, target)


def limit_memory(gigabytes: float | None) -> None:
    """Let no more than this be allocated by this process; where the system can."""
    if gigabytes is None or sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # not on Windows

    most = int(gigabytes * (1 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
