"""Opens a record, whole or torn, and says what it found."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchdx.errors import RecordError
from torchdx.record.model import Record
from torchdx.record.schema import FRAME, FRAME_MAGIC, HEADER, JSON_KIND, MAGIC, SCHEMA


@dataclass
class Contents:
    """The entries of one file and the bytes behind its last whole frame."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    frames: int = 0
    torn_bytes: int = 0


def read_entries(path: Path) -> Contents:
    """All entries up to the first damage.

    Raises:
        RecordError: the file is missing, not a record, or of a schema newer than this reader's.
    """
    data = _bytes_of(path)
    check_header(path, data)
    return entries_in(data[HEADER.size :])


def entries_in(data: bytes, *, first: int = 0) -> Contents:
    """The entries of the whole frames that stand one behind the other in a piece of a file.

    `first` is the sequence number of the first of them.
    """
    contents, position = Contents(), 0
    for kind, payload, end in _frames(data, first):
        contents.frames += 1
        position = end
        if kind == JSON_KIND:
            contents.entries.extend(json.loads(payload))
    contents.torn_bytes = len(data) - position
    return contents


def read(path: Path) -> Record:
    """The record as rules see it. Raises `RecordError` as `read_entries` does."""
    contents = read_entries(path)
    record = Record(torn_bytes=contents.torn_bytes)
    apply_all(record, contents.entries, path)
    return record


def apply_all(record: Record, entries: list[dict[str, Any]], path: Path) -> None:
    """Have a record take entries in.

    Raises:
        RecordError: one of them is not as it should be.
    """
    for number, entry in enumerate(entries):
        try:
            record.apply(entry)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            kind = entry.get("e") if isinstance(entry, dict) else type(entry).__name__
            msg = (
                f"cannot read {path}: entry {number} ({kind}) is not as this torchdx writes it "
                f"({type(error).__name__}: {error})."
            )
            raise RecordError(msg) from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        msg = f"cannot read {path}: there is no such file. `torchdx runs` lists the records here."
        raise RecordError(msg) from None
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}."
        raise RecordError(msg) from None


def check_header(path: Path, data: bytes) -> None:
    """See that a file begins as a record does.

    Raises:
        RecordError: it does not, or is of a schema newer than this reader's.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        found = f"it starts with {data[:8]!r}" if data else "it is empty"
        msg = f"cannot read {path}: not a torchdx record ({found})."
        raise RecordError(msg)
    if len(data) < HEADER.size:
        msg = f"cannot read {path}: torn inside its header ({len(data)} bytes); nothing to recover."
        raise RecordError(msg)
    schema = HEADER.unpack_from(data)[1]
    if schema > SCHEMA:
        msg = (
            f"cannot read {path}: it has schema {schema}, this torchdx reads up to {SCHEMA}. "
            "Install a newer torchdx."
        )
        raise RecordError(msg)


def _frames(data: bytes, expected: int) -> Iterator[tuple[int, bytes, int]]:
    """(kind, payload, end position) of each whole frame in order; stops at the first damage."""
    position = 0
    while position + FRAME.size <= len(data):
        magic, kind, sequence, length, crc = FRAME.unpack_from(data, position)
        start = position + FRAME.size
        end = start + length
        if magic != FRAME_MAGIC or sequence != expected or end > len(data):
            return
        payload = data[start:end]
        if crc != zlib.crc32(payload, zlib.crc32(data[position : start - 4])):
            return
        yield kind, payload, end
        position, expected = end, expected + 1
