"""One watched process, from before torch is imported to after the program has ended."""

import atexit
import contextlib
import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from torchdx.boot.lazy import after_torch
from torchdx.record.index import shard_path
from torchdx.record.previous import previous
from torchdx.record.writer import Writer

RECORD_VARIABLE = "TORCHDX_RECORD"
OPTIONS_VARIABLE = "TORCHDX_OPTIONS"
_LONGEST = 300  # characters of the program's exception that are kept
_SITE = Path(__file__).parent / "site"


@dataclass(frozen=True)
class Options:
    """How to watch.

    quiet   print nothing but what went wrong with torchdx itself
    eager   a compiled program's first step may run eagerly
    budget  the share of the program's time that measuring may take, 0 to 1
    curved  steps between measurements of curvature; 0: only where the rules need them
    """

    quiet: bool = False
    eager: bool = True
    budget: float = 0.02
    curved: int = 0


class Session:
    """Observes this process as soon as torch is there, and speaks at its end."""

    def __init__(
        self, path: Path, options: Options, facts: Mapping[str, Any], *, child: bool = False
    ) -> None:
        self._path, self._options, self._child = path, options, child
        self._facts = dict(facts)
        self._rank = int(os.environ.get("RANK") or 0)
        self._observer: Any = None
        self._status: int | None = None
        self._ended = False
        self._pid = os.getpid()
        self._began = time.time()
        self._failure: str | None = None
        self.diagnosis: Any = None  # of the whole run, once it has ended

    def begin(self) -> None:
        """Wait for torch, and for the end."""
        after_torch(self._install)
        atexit.register(self.end)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGTERM, self._terminated)

    def cancel(self) -> None:
        """There was no program to observe: say nothing at the end."""
        self._ended = True

    def ended_with(self, status: int) -> None:
        """The program's exit status is known."""
        self._status = status

    @property
    def observer(self) -> Any:
        """What watches this process; None before torch is imported, and where that failed."""
        return self._observer

    def _install(self) -> None:
        try:
            self._observe()
        except Exception as error:  # noqa: BLE001  # the program must run without us too
            self._failure = f"{type(error).__name__}: {error}"

    def _observe(self) -> None:
        import torch  # noqa: PLC0415  # imported by now

        from torchdx import __version__  # noqa: PLC0415
        from torchdx.events.recorder import Recorder  # noqa: PLC0415
        from torchdx.observer import Observer  # noqa: PLC0415

        writer = Writer(shard_path(self._path, self._rank), hold=True)
        recorder = Recorder(writer, str(self._facts.get("folder", "")))
        recorder.emit(
            {
                "e": "meta",
                "run": self._path.stem,
                "started": self._began,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "torchdx": __version__,
                "cwd": os.getcwd(),
                "pid": self._pid,
                "host": platform.node(),
                "rank": self._rank,
                "world": int(os.environ.get("WORLD_SIZE") or 1),
                "previous": {} if self._child or self._rank else previous(self._path, self._facts),
                **self._facts,
            }
        )
        self._observer = Observer(
            recorder,
            told=self._tell,
            eager=self._options.eager,
            budget=self._options.budget,
        )
        self._observer.measure_curvature(self._options.curved)
        self._observer.on_exit = self._leaving
        self._observer.start()

    @property
    def _speaks(self) -> bool:
        return self._rank == 0 and not self._options.quiet

    def _tell(self, finding: Any) -> None:
        if self._speaks:
            from torchdx.report import terminal  # noqa: PLC0415  # rich only when it is needed

            terminal.tell(finding)

    def end(self) -> None:
        """The process ends: finish the record and say what was found. Once only."""
        if self._ended or os.getpid() != self._pid:
            return
        self._ended = True
        try:
            self._finish()
        except Exception as error:  # noqa: BLE001  # the program's end is its own
            with contextlib.suppress(OSError, ValueError):
                print(f"  dx  torchdx failed at the end: {error!r}", file=sys.stderr)  # noqa: T201

    def _finish(self) -> None:
        from torchdx.report import terminal  # noqa: PLC0415

        trained = self._observer is not None and self._observer.trained
        if not trained and (self._child or self._children_recorded()):
            if self._observer is not None:
                self._observer.stop()
            return
        if self._observer is None:
            if not self._options.quiet:
                seen = "torch was not imported" if self._failure is None else "not observed"
                terminal.nothing_seen(seen, self._failure)
            return
        writer = self._observer.recorder.writer
        writer.release()
        error = _last_error(self._observer.recorder.frames) if self._status != 0 else None
        diagnosis = self.diagnosis = self._observer.finish(status=self._status, error=error)
        record = self._observer.recorder.record
        if self._options.quiet:
            terminal.failures(record, writer.failure)
        elif not trained:
            terminal.nothing_trained(record, writer.path)
        elif self._rank == 0:
            terminal.summary(record, diagnosis, writer.path, failure=writer.failure)

    def _children_recorded(self) -> bool:
        """Whether interpreters that this one started have left records of the run."""
        return any(path.exists() for path in (self._path, shard_path(self._path, 1)))

    def _leaving(self, status: int) -> None:
        self.ended_with(status)
        self.end()
        sys.stderr.flush()

    def _terminated(self, number: int, _frame: FrameType | None) -> None:
        """SIGTERM, where the program handles none: speak, and end by the same signal."""
        self.ended_with(-number)
        self.end()
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _last_error(frames: Any) -> str | None:
    """The exception that the program did not catch: `ValueError: no rows (train.py:12)`."""
    error = getattr(sys, "last_value", None)
    if not isinstance(error, BaseException):
        return None
    own = [f for f in traceback.extract_tb(error.__traceback__) if frames.is_user(f.filename)]
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    said = " ".join(str(error).split())
    said = said if len(said) <= _LONGEST else said[:_LONGEST] + "..."
    return f"{type(error).__name__}{': ' if said else ''}{said}{place}"


def environment(path: Path, options: Options) -> dict[str, str]:
    """Variables by which child interpreters are observed too."""
    before = os.environ.get("PYTHONPATH")
    return {
        RECORD_VARIABLE: str(path.absolute()),
        OPTIONS_VARIABLE: json.dumps(asdict(options)),
        "PYTHONPATH": os.pathsep.join([str(_SITE), before] if before else [str(_SITE)]),
    }


def begin_in_child() -> None:
    """Observe an interpreter that a watched program started, if it comes to train."""
    with contextlib.suppress(Exception):
        options = Options(**json.loads(os.environ.get(OPTIONS_VARIABLE, "{}")))
        path = Path(os.environ[RECORD_VARIABLE])
        facts = {"argv": sys.argv, "child": True}
        Session(path, options, facts, child=True).begin()
