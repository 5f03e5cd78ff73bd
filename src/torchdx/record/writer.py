"""The append-only writer: whole after a crash up to its last flush, silent about nothing."""

import itertools
import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchdx.record.index import shard_path
from torchdx.record.schema import FRAME, FRAME_MAGIC, HEADER, JSON_KIND, MAGIC, SCHEMA

Entry = Mapping[str, Any]

PENDING_ENTRIES = 50  # entries that a crash may lose
PENDING_S = 2.0  # seconds that a crash may lose


class Writer:
    """Appends entries to one file with one `os.write` a flush.

    The file is made at the first flush. With `hold`, all entries wait for `release()`, so that a
    process which never trains leaves no file. A path that another process of the run has taken
    becomes that of the next free rank. When the file cannot be written (no permission, disk full)
    the writer closes for good and keeps the reason in `failure`; it never raises.
    """

    def __init__(self, path: Path, *, hold: bool = False) -> None:
        self.path = path
        self._base = path
        self._hold = hold
        self.failure: str | None = None
        self._fd: int | None = None
        self._pid = os.getpid()
        self._pending: list[Entry] = []
        self._sequence = 0
        self._flushed_at = time.monotonic()

    def append(self, entry: Entry, *, now: bool = False) -> None:
        """Keep one entry; written at once when `now`, else with the next flush."""
        self._pending.append(entry)
        if now:
            self.flush()
        else:
            self.tick()

    def release(self) -> None:
        """Write from now on, first what has waited."""
        if self._hold:
            self._hold = False
            self.flush()

    def tick(self) -> None:
        """Flush when what waits is old or large enough. Cheap: call it from every hook."""
        if not self._pending:
            return
        if len(self._pending) >= PENDING_ENTRIES or time.monotonic() - self._flushed_at > PENDING_S:
            self.flush()

    def flush(self) -> None:
        """Write all that waits as one frame."""
        if not self._pending or self._hold or self.failure or os.getpid() != self._pid:
            return
        entries, self._pending = self._pending, []
        self._flushed_at = time.monotonic()
        try:
            if self._fd is None:
                self._open()
            self._write(json.dumps(entries, separators=(",", ":"), default=str).encode())
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Flush and let the file go."""
        self.flush()
        if self._fd is not None and os.getpid() == self._pid:
            os.close(self._fd)
        self._fd = None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC
        for rank in itertools.count(1):
            try:
                self._fd = os.open(self.path, flags, 0o644)
                break
            except FileExistsError:
                self.path = shard_path(self._base, rank)
        self._all(HEADER.pack(MAGIC, SCHEMA))

    def _write(self, payload: bytes) -> None:
        kind_to_length = FRAME.pack(FRAME_MAGIC, JSON_KIND, self._sequence, len(payload), 0)[:-4]
        crc = zlib.crc32(payload, zlib.crc32(kind_to_length))
        self._all(kind_to_length + crc.to_bytes(4, "little") + payload)
        self._sequence += 1

    def _all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd or -1, view) :]

    def _give_up(self, error: OSError) -> None:
        self.failure = f"cannot write the record {self.path}: {error.strerror or error}"
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
