"""Which line of the user's program is running: the nearest frame that is not a library's."""

import inspect
import linecache
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

Emit = Callable[[dict[str, Any]], None]

_STACK_ENTRY = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+), in (?P<func>.+)')
_FUNCTIONAL = str(Path("torch", "nn", "functional.py"))


CALL_CODE = nn.Module._call_impl.__code__
_OURS_AND_TORCH = tuple(str(path) + "/" for path in (Path(__file__).parents[1], *torch.__path__))


def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots.update(site.getsitepackages())
    roots.add(site.getusersitepackages())
    roots.add(str(Path(__file__).parents[1]))
    return tuple(sorted(root.rstrip("/") + "/" for root in roots if root))


def variables_of(frame: FrameType) -> dict[str, Any]:
    """The variables of a running function or module, to read only.

    Before Python 3.13 a function's frame keeps the copy that it hands out, and with it every value;
    it is emptied.
    """
    local = frame.f_locals
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return dict(local)
    found = dict(local)
    if type(local) is dict:
        local.clear()
    return found


class Frames:
    """Tells user code from libraries and numbers the lines that it meets.

    Libraries are the standard library, site-packages and torchdx. `entry` is the directory of the
    program that is run: it is the user's, wherever it lies.
    """

    def __init__(self, emit: Emit, entry: str = "") -> None:
        self._emit = emit
        self._roots = _library_roots()
        self._entry = entry.rstrip("/") + "/" if entry else ""
        self._is_user: dict[str, bool] = {}
        self._numbers: dict[tuple[str, int], int] = {}

    def is_user(self, filename: str) -> bool:
        """Whether a source file belongs to the observed program."""
        known = self._is_user.get(filename)
        if known is None:
            known = self._is_user[filename] = self._classify(filename)
        return known

    def _classify(self, filename: str) -> bool:
        if filename.startswith("<frozen"):
            return False
        if self._entry and filename.startswith(self._entry) and "site-packages" in self._entry:
            return True
        return not filename.startswith(self._roots)

    def user_frames(self, limit: int = 1) -> list[FrameType]:
        """The innermost `limit` frames of the user's program, nearest first."""
        found: list[FrameType] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(found) < limit:
            if self.is_user(frame.f_code.co_filename):
                found.append(frame)
            frame = frame.f_back
        return found

    def here(self) -> int | None:
        """The number of the user's line that is running, None outside the user's program."""
        is_user = self._is_user
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            filename = code.co_filename
            known = is_user.get(filename)
            if known or (known is None and self.is_user(filename)):
                number = self._numbers.get((filename, frame.f_lineno))
                return number or self.number(filename, frame.f_lineno, code.co_name)
            frame = frame.f_back
        return None

    def called_by_user(self) -> bool:
        """Whether the nearest caller outside torch and torchdx is the user's program."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(_OURS_AND_TORCH):
            frame = frame.f_back
        return frame is not None and self.is_user(frame.f_code.co_filename)

    def inside_forward(self) -> bool:
        """Whether a module of torch is being called, further out."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code is CALL_CODE:
                return True
            frame = frame.f_back
        return False

    def number(self, filename: str, line: int, function: str) -> int:
        """Intern a line; it is emitted once with its text."""
        key = (filename, line)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers) + 1
            text = linecache.getline(filename, line).strip()
            self._emit(
                {
                    "e": "line",
                    "id": self._numbers[key],
                    "file": filename,
                    "line": line,
                    "func": function,
                    "text": text,
                }
            )
        return self._numbers[key]

    def of_stack(self, stack: Iterable[str]) -> tuple[int | None, str]:
        """The user's line in a formatted stack (outermost first), and the function of
        `torch.nn.functional` that ran below it, if any.
        """
        line, via = None, ""
        for match in filter(None, map(_STACK_ENTRY.match, stack)):
            filename = match["file"]
            if self.is_user(filename):
                line, via = self.number(filename, int(match["line"]), match["func"]), ""
            elif filename.endswith(_FUNCTIONAL) and not via:
                via = match["func"]
        return line, via
