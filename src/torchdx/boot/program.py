"""Runs a script or a module the way `python` itself would, in this process.

A fresh module stands in `sys.modules` as `__main__`, so that pickling, `multiprocessing` and
`atexit` find what they would find without us. An uncaught exception is printed without the frames
of torchdx, and leads to the exit status that it would have led to.
"""

import atexit
import builtins
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from torchdx.errors import CallError

_OWN = str(Path(__file__).parents[1]) + os.sep


@dataclass(frozen=True)
class Program:
    """What to run: compiled by `load` only, so that its errors are told as Python tells them.

    target     path of a script, or name of a module
    module     whether it is a module's name
    arguments  what stands behind it on the command line
    """

    target: str
    module: bool
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the record: `train` for `train.py`, `train` for `package.train`."""
        return self.target.rpartition(".")[2] if self.module else Path(self.target).stem

    @property
    def folder(self) -> str:
        """Where its own code lies."""
        return os.getcwd() if self.module else str(Path(self.target).resolve().parent)


def run(program: Program) -> int:
    """Run it to its end; returns its exit status.

    Raises:
        CallError: the script or the module does not exist.
        KeyboardInterrupt: the program left it uncaught; it has been printed.
    """
    main, code = _prepare(program)
    if code is None:
        return 1
    try:
        exec(code, vars(main))  # noqa: S102  # to run the user's program is what we are for
    except SystemExit as leaving:
        return _status(leaving.code)
    except BaseException as error:  # as the interpreter: printed, status 1
        show(error)
        if isinstance(error, KeyboardInterrupt):
            raise
        return 1
    return 0


def _prepare(program: Program) -> tuple[ModuleType, CodeType | None]:
    return _prepare_module(program) if program.module else _prepare_script(program)


def _prepare_script(program: Program) -> tuple[ModuleType, CodeType | None]:
    path = Path(os.path.abspath(program.target))  # noqa: PTH100  # links stay, as in Python
    folder = path.resolve().parent
    if path.is_dir() and (path / "__main__.py").is_file():
        folder, path = path, path / "__main__.py"
    try:
        with io.open_code(str(path)) as file:
            source = file.read()
    except OSError as error:
        msg = f"can't open file {str(path)!r}: [Errno {error.errno}] {error.strerror}"
        raise CallError(msg) from None
    sys.argv[:] = [program.target, *program.arguments]
    sys.path[0] = str(folder)
    main = _fresh_main()
    main.__file__ = str(path)
    vars(main)["__cached__"] = None
    return main, _compile(source, str(path))


def _prepare_module(program: Program) -> tuple[ModuleType, CodeType | None]:
    sys.argv[:] = ["-m", *program.arguments]
    sys.path[0] = os.getcwd()
    spec = _find(program.target)
    loader: Any = spec.loader
    sys.argv[0] = spec.origin or program.target
    main = _fresh_main()
    main.__spec__ = spec
    main.__file__ = spec.origin
    main.__loader__ = loader
    main.__package__ = spec.parent
    vars(main)["__cached__"] = spec.cached
    try:
        return main, loader.get_code(spec.name)
    except SyntaxError as error:
        show(error)
        return main, None


def _find(name: str) -> importlib.machinery.ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        msg = f"Error while finding module specification for {name!r} ({why})"
        raise CallError(msg) from error
    if spec is None or not hasattr(spec.loader, "get_code"):
        msg = f"No module named {name}"
        raise CallError(msg)
    return spec


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main


def _compile(source: bytes, path: str) -> CodeType | None:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        show(error)
        return None


def _status(code: object) -> int:
    """The exit status that `sys.exit(code)` stands for; a text is printed, as Python does."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)  # noqa: T201  # as the interpreter does
    return 1


def show(error: BaseException) -> None:
    """Print an uncaught exception through `sys.excepthook`, without our frames.

    It is kept in `sys.last_value`, as by the interpreter.
    """
    trimmed = without_own_frames(error.__traceback__)
    error.__traceback__ = trimmed
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trimmed
    sys.excepthook(type(error), error, trimmed)


def without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    """A traceback in which no frame of torchdx stands."""
    kept: list[TracebackType] = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OWN):
            kept.append(trace)
        trace = trace.tb_next
    following: TracebackType | None = None
    for entry in reversed(kept):
        following = TracebackType(following, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return following


def end_by_interrupt() -> NoReturn:
    """End this process as Python does after an uncaught Ctrl-C: in order, then by the signal."""
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter itself
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    sys.exit(128 + signal.SIGINT)  # where the signal is blocked


def parse(arguments: Sequence[str], *, module: bool) -> Program:
    """The program named by what stands behind torchdx's own options."""
    target, *rest = arguments
    return Program(target, module, tuple(rest))
