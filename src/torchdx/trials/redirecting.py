"""What an arm writes outside of its scratch folder lands beside it, and is read from there again.

Python's own ways to files are replaced: `open`, the functions of `os`, `shutil.rmtree`; and of what
opens files by itself `torch.save`, sqlite, safetensors and HDF5. What was removed is only hidden.
A program that a script starts, and other C libraries given an absolute path, go past this.
"""

import builtins
import bz2
import functools
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from numpy.lib._datasource import _file_openers  # type: ignore[attr-defined]  # no stub has it

from torchdx.boot.lazy import after_import

LARGE = 1 << 26  # bytes: databases above this are opened for reading only
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
Function = Callable[..., Any]


class Redirecting:
    """Sends what the program writes elsewhere into the scratch folder.

    written  paths that the program meant to change, outside of its scratch folder
    """

    def __init__(self, scratch: Path, own: tuple[Path, ...] = ()) -> None:
        self._scratch = scratch.resolve()
        free = (self._scratch, *(p.resolve() for p in own))
        self._free = (*(str(p) + os.sep for p in free), "/dev/", "/proc/")
        self._roots = tuple(str(p) for p in free)
        self._beside = str(self._scratch / ".elsewhere")
        self._gone: set[str] = set()
        self._stat, self._copy, self._unlink = os.stat, shutil.copyfile, os.unlink
        tempfile.tempdir = None  # the arm has its own, by TMPDIR
        self.written: list[str] = []

    def begin(self) -> None:
        """From now on, in this process."""
        opening = self._opening(io.open)
        for module, name in ((builtins, "open"), (io, "open"), (bz2, "_builtin_open")):
            setattr(module, name, opening)
        vars(tarfile)["bltn_open"] = opening
        vars(_file_openers)["_file_openers"][None] = opening  # of `np.savetxt`
        for names, change in (
            ("open", self._by_flags),
            ("stat", self._stat_too),
            ("listdir", self._listdir_too),
            ("scandir", self._scandir_too),
            ("makedirs mkdir", self._in_place),
            ("replace rename", self._both),
            ("link symlink", self._linking),
            ("remove unlink rmdir", self._removing),
            ("utime chmod truncate", self._changing),
        ):
            for name in names.split():
                _replace(os, name, change)
        _replace(shutil, "rmtree", self._removing)
        sqlite3.connect = self._connecting(sqlite3.connect)
        after_import("safetensors", self._safetensors)
        after_import("safetensors.torch", self._safetensors)
        after_import("h5py", self._h5py)

    def torch_too(self, torch: Any) -> None:
        """`torch.save` and `torch.load` by path go round Python's `open`."""
        save, load = torch.save, torch.load

        def saving(thing: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
            return save(thing, self.to_write(f), *args, **kwargs)

        def loading(f: Any, *args: Any, **kwargs: Any) -> Any:
            return load(self.to_read(f), *args, **kwargs)

        torch.save, torch.load = saving, loading

    # -- where things are --------------------------------------------------------------------

    def to_write(self, path: Any, *, keep: bool = False) -> Any:
        """Where what is written to `path` goes; `keep`: what it holds already is wanted, too."""
        name = _name(path)
        if name is None:
            return path
        full = os.path.abspath(name)
        if self._ours(full):
            return path
        if full.startswith(self._free) and os.path.islink(full) and not os.path.isdir(full):
            holds = os.path.realpath(full)
            os.unlink(full)  # the link that shows the user's file, not the file
            if keep:
                self._carry(holds, full)
            return path
        elsewhere = self._beside + full
        os.makedirs(os.path.dirname(elsewhere), exist_ok=True)
        if keep and not self._hidden(full):
            self._carry(full, elsewhere)
        self._note(name)
        return elsewhere

    def to_read(self, path: Any) -> Any:
        """Where what `path` names is found: beside, where the program has written it before."""
        name = _name(path)
        if name is None or not self.written:
            return path
        full = os.path.abspath(name)
        elsewhere = self._beside + full
        return elsewhere if self._there(elsewhere) or self._hidden(full) else path

    def _ours(self, full: str) -> bool:
        """Whether a path leads to a place that belongs to this arm."""
        real = os.path.realpath(full)
        return real.startswith(self._free) or real in self._roots

    def _there(self, path: str) -> bool:
        try:
            self._stat(path)
        except (OSError, ValueError):
            return False
        return True

    def _hidden(self, full: str) -> bool:
        return any(full == gone or full.startswith(gone + os.sep) for gone in self._gone)

    def _note(self, name: str) -> None:
        if name not in self.written:
            self.written.append(name)

    def _carry(self, source: str, target: str) -> None:
        """Copy what a file holds, unless the copy is there."""
        if self._there(source) and not self._there(target) and not os.path.isdir(source):
            self._copy(source, target)

    # -- in place of Python's own ------------------------------------------------------------

    def _opening(self, original: Function) -> Function:
        def opening(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if isinstance(mode, str) and set(mode) & set("wax+"):
                keep = "w" not in mode
                return original(self.to_write(file, keep=keep), mode, *args, **kwargs)
            return original(self.to_read(file), mode, *args, **kwargs)

        return opening

    def _by_flags(self, original: Function) -> Function:
        def opening(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("dir_fd") is not None:
                return original(path, flags, *args, **kwargs)
            if flags & _CHANGING:
                new = bool(flags & os.O_CREAT and flags & os.O_TRUNC)
                path = self.to_write(path, keep=not new)
                return original(path, flags, *args, **kwargs)
            return original(self.to_read(path), flags, *args, **kwargs)

        return opening

    def _stat_too(self, original: Function) -> Function:
        def stat(path: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self.to_read(path), *args, **kwargs)

        return stat

    def _listdir_too(self, original: Function) -> Function:
        def listdir(path: Any = ".") -> Any:
            beside = self._listed_beside(path)
            if beside is None:
                return original(path)
            with os.scandir(path) as entries:
                return [entry.name for entry in entries]

        return listdir

    def _scandir_too(self, original: Function) -> Function:
        def scandir(path: Any = ".") -> Any:
            beside = self._listed_beside(path)
            if beside is None:
                return original(path)
            own = list(original(beside)) if self._there(beside) else []
            full, names = os.path.abspath(path), {entry.name for entry in own}
            if self._there(full) and full not in self._gone:
                own += [
                    entry
                    for entry in original(path)
                    if entry.name not in names and not self._hidden(os.path.join(full, entry.name))
                ]
            elif not self._there(beside):
                return original(beside)  # which says that it is not there
            return _Entries(own)

        return scandir

    def _listed_beside(self, path: Any) -> str | None:
        name = _name(path)
        if name is None or not self.written:
            return None
        full = os.path.abspath(name)
        known = self._there(self._beside + full) or self._hidden(full)
        inside = any(os.path.dirname(gone) == full for gone in self._gone)
        return self._beside + full if known or inside else None

    def _in_place(self, make: Function) -> Function:
        def making(path: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(path)
            if name is None or kwargs.get("dir_fd") is not None or os.path.isdir(path):
                return make(path, *args, **kwargs)
            return make(self.to_write(path), *args, **kwargs)

        return making

    def _both(self, move: Function) -> Function:
        def moving(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            if _name(source) is None or kwargs.get("src_dir_fd") is not None:
                return move(source, target, *args, **kwargs)
            full = os.path.abspath(source)
            found, to = self.to_read(source), self.to_write(target)
            if found is not source or self._ours(full) or not self._there(full):
                return move(found, to, *args, **kwargs)
            copy = shutil.copytree if os.path.isdir(full) else self._copy
            copy(full, to)
            self._hide(full)
            return None

        return moving

    def _linking(self, link: Function) -> Function:
        def linking(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
            if link.__name__ == "link":  # a second name of the user's file would lead to it
                return self._copy(self.to_read(source), self.to_write(target))
            return link(source, self.to_write(target), *args, **kwargs)

        return linking

    def _removing(self, remove: Function) -> Function:
        unlink = self._unlink

        def removing(path: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(path)
            if name is None or kwargs.get("dir_fd") is not None:
                return remove(path, *args, **kwargs)
            full = os.path.abspath(name)
            if full.startswith(self._free) and os.path.islink(full):
                if self._there(self._beside + full):
                    remove(self._beside + full, *args, **kwargs)
                return unlink(full)
            if self._ours(full):
                return remove(path, *args, **kwargs)
            if self._there(self._beside + full):
                remove(self._beside + full, *args, **kwargs)
            elif self._hidden(full) or not self._there(full):
                return remove(self._beside + full, *args, **kwargs)  # it says what is missing
            if self._there(full):
                self._hide(full)
            return None

        return removing

    def _hide(self, full: str) -> None:
        """From now on it is not there, for the program."""
        self._note(f"{full} (removal)")
        self._gone.add(full)

    def _changing(self, change: Function) -> Function:
        """Times and rights of a file that is not the arm's own stay; a copy is cut short."""

        def changing(path: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(path)
            if name is None or self._ours(os.path.abspath(name)):
                return change(path, *args, **kwargs)
            if change.__name__ == "truncate":
                return change(self.to_write(path, keep=True), *args, **kwargs)
            found = self.to_read(path)
            if found is path and self._there(name):
                return None
            return change(found, *args, **kwargs)

        return changing

    def _connecting(self, connect: Function) -> Function:
        def connecting(database: Any, *args: Any, **kwargs: Any) -> Any:
            name = _name(database)
            if name is None or name in {"", ":memory:"} or kwargs.get("uri"):
                return connect(database, *args, **kwargs)
            full = os.path.abspath(name)
            if not self._ours(full) and self._there(full) and self._stat(full).st_size > LARGE:
                return connect(f"file:{full}?mode=ro", *args, uri=True, **kwargs)
            return connect(self.to_write(database, keep=True), *args, **kwargs)

        return connecting

    def _safetensors(self, module: ModuleType) -> None:
        def saving(save: Function) -> Function:
            def to(tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> Any:
                return save(tensors, self.to_write(filename), *args, **kwargs)

            return to

        def loading(load: Function) -> Function:
            return lambda filename, *args, **kwargs: load(self.to_read(filename), *args, **kwargs)

        for name, change in (("save_file", saving), ("load_file", loading), ("safe_open", loading)):
            if hasattr(module, name):
                setattr(module, name, change(getattr(module, name)))

    def _h5py(self, module: Any) -> None:
        init = module.File.__init__

        def opening(file: Any, name: Any, mode: str = "r", *args: Any, **kwargs: Any) -> None:
            reads = mode == "r"
            place = self.to_read(name) if reads else self.to_write(name, keep=mode in {"r+", "a"})
            init(file, place, mode, *args, **kwargs)

        module.File.__init__ = opening


def _replace(module: ModuleType, name: str, change: Callable[[Function], Function]) -> None:
    """A function of Python's, and what says of it that it takes open folders, in place of it."""
    original = getattr(module, name)
    changed = functools.wraps(original)(change(original))
    for able in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
        if original in able:
            able.add(changed)
    setattr(module, name, changed)


class _Entries:
    """What `os.scandir` gives, of two folders seen as one."""

    def __init__(self, entries: list[os.DirEntry[str]]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return self._entries

    def __next__(self) -> os.DirEntry[str]:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


def _name(path: Any) -> str | None:
    """A path as text; None for a number of an open file, or an open file."""
    if isinstance(path, str):
        return path
    if isinstance(path, os.PathLike):
        name = os.fspath(path)
        return name if isinstance(name, str) else None
    return None
