"""Runs a small program of a test under observation, in this process."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.record.writer import Writer
from torchdx.rules.base import Answer, Finding, Unclear, find_rule


def observed(program: Callable[[], object], path: Path, *, fails: bool = False) -> Record:
    """The record of a program, written to `path` and read again.

    `fails`: the program raises a RuntimeError, as a sick script would.
    """
    observer = Observer(Recorder(Writer(path)))
    observer.start()
    try:
        with pytest.raises(RuntimeError) if fails else nullcontext():
            program()
    finally:
        observer.finish(status=0)
    assert observer.failure is None, observer.failure
    return read(path)


def answers(code: str, record: Record) -> list[Answer]:
    """All that one rule says of a record."""
    return list(find_rule(code).answers(record))


def findings(code: str, record: Record) -> list[Finding]:
    """Only its findings."""
    return [answer for answer in answers(code, record) if isinstance(answer, Finding)]


def unclear(code: str, record: Record) -> list[Unclear]:
    """Only what it cannot tell."""
    return [answer for answer in answers(code, record) if isinstance(answer, Unclear)]
