"""Reads a record while it is being written: only what is new, and who writes it."""

import contextlib
import os
import platform
import time
from io import FileIO
from pathlib import Path
from typing import Any, Literal, Self

from torchdx.errors import RecordError
from torchdx.record.index import runs
from torchdx.record.model import Record
from torchdx.record.reader import apply_all, check_header, entries_in
from torchdx.record.schema import FRAME, HEADER, MAGIC

State = Literal["waiting", "running", "gone", "ended"]

QUIET_S = 10.0  # without anything new, before the writer is looked for
_LATELY_S = 60.0  # a record that grew since then goes on, where its writer cannot be looked for
_LOOKED_INTO = 5  # of the newest records, to find one that goes on


class Follower:
    """Keeps one record as far as it has been written.

    A frame that is not whole yet is left for the next time. Where another run takes the path, or
    the file is written anew, `record` is a new one. A file that goes away leaves what was read.

    record    all that was read so far
    state     `waiting`: there is no record yet; `running`; `gone`: nothing came for `quiet_s`, and
              its process is no more; `ended`: its last entry is there
    silent_s  seconds since the file last grew
    """

    def __init__(self, path: Path, *, quiet_s: float = QUIET_S) -> None:
        self._file: FileIO | None = None
        self.path = path
        self.state: State = "waiting"
        self.silent_s = 0.0
        self._quiet_s = quiet_s
        self._turn = 0  # how many files were met at the path
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def version(self) -> str:
        """Another after every `poll` that found something new."""
        return f"{self._turn}-{self._position}-{self.state}"

    @property
    def alive(self) -> bool | None:
        """Whether the process that writes is there; None where that cannot be known."""
        return _alive(self.record.meta)

    def poll(self) -> bool:
        """Read what has come; returns whether anything is new.

        Raises:
            RecordError: what stands there is no record, or one that this torchdx cannot read.
        """
        before = self.version
        try:
            self._meet()
            if self._file is not None:
                self._read(self._file)
        except OSError as error:
            msg = f"cannot read {self.path}: {error.strerror or error}."
            raise RecordError(msg) from None
        return self.version != before

    def _start(self) -> None:
        """Nothing has been read of the file."""
        self.record = Record()
        self._position = self._frames = 0
        self._size = -1
        self._beginning = b""

    def _meet(self) -> None:
        """Open the file that stands at the path, where it is not the one that is open."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return
        if self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), there):
            return
        self.close()
        with contextlib.suppress(FileNotFoundError):  # gone again
            self._file = FileIO(self.path)
        self._turn += 1
        self._start()

    def _read(self, file: FileIO) -> None:
        told = os.fstat(file.fileno())
        if told.st_size != self._size:
            if os.pread(file.fileno(), len(self._beginning), 0) != self._beginning:
                self._turn += 1
                self._start()
            file.seek(self._position)
            self._take(file.readall())
            self._size = told.st_size
        self.silent_s = max(0.0, time.time() - told.st_mtime)
        self.state = self._judged()
        whole = self.state not in ("ended", "gone")
        self.record.torn_bytes = 0 if whole else max(0, told.st_size - self._position)

    def _take(self, data: bytes) -> None:
        if not self._position:
            if len(data) < HEADER.size and MAGIC.startswith(data[: len(MAGIC)]):  # just made
                return
            check_header(self.path, data)
            self._beginning = data[: HEADER.size + FRAME.size]
            self._position, data = HEADER.size, data[HEADER.size :]
        contents = entries_in(data, first=self._frames)
        self._position += len(data) - contents.torn_bytes
        self._frames += contents.frames
        apply_all(self.record, contents.entries, self.path)

    def _judged(self) -> State:
        if self.record.end:
            return "ended"
        if not self._frames:
            return "waiting"
        lost = self.silent_s > self._quiet_s and self.alive is False
        return "gone" if lost else "running"


def newest(folder: Path | None = None) -> Path | None:
    """The newest record of a folder, one that is still being written before all others."""
    found = runs(folder)[::-1]
    for path in found[:_LOOKED_INTO]:
        with contextlib.suppress(RecordError), Follower(path) as follower:
            follower.poll()
            if follower.state == "running" and _goes_on(follower):
                return path
    return found[0] if found else None


def _goes_on(follower: Follower) -> bool:
    alive = follower.alive
    return follower.silent_s < _LATELY_S if alive is None else alive


def _alive(meta: dict[str, Any]) -> bool | None:
    """Whether the process of a record's `meta` runs on this machine; None: not known."""
    pid = meta.get("pid")
    if os.name != "posix" or not isinstance(pid, int) or meta.get("host") != platform.node():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
