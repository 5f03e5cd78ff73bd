"""Runs torchdx's own code in the midst of the program: timed, in its own process, failing open."""

import contextlib
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from torchdx.events.modes import rehearsed, unfollowed
from torchdx.events.recorder import Recorder

P = ParamSpec("P")
G = TypeVar("G", bound="Guard")

_RUNNING: list["Guard"] = []


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Nothing that runs inside is the program's: whoever observes this process looks away."""
    awake = [guard for guard in _RUNNING if not guard.busy]
    for guard in awake:
        guard.busy = True
    try:
        yield
    finally:
        for guard in awake:
            guard.busy = False


def at_work() -> bool:
    """Whether what runs in this process just now is our doing, not the program's."""
    return any(guard.busy for guard in _RUNNING)


def _forked() -> None:
    """A forked child works on, unobserved."""
    for guard in _RUNNING:
        guard.live = False
    _RUNNING.clear()


os.register_at_fork(after_in_child=_forked)


def safely(method: Callable[Concatenate[G, P], None]) -> Callable[Concatenate[G, P], None]:
    """What a hook calls: nothing while we are at work ourselves, and never an exception."""

    def guarded(self: G, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.live and not self.busy:
            self.guard(method, self, *args, **kwargs)

    functools.update_wrapper(guarded, method)
    return guarded


class Guard:
    """Lets our code run, until the first exception in it.

    live      whether anything is observed
    busy      whether we are at work just now: what hooks then tell is our own doing
    failure   the exception that ended the observation, in words
    spent_s   seconds that our code has taken
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.live = self.busy = False
        self.failure: str | None = None
        self.spent_s = self._entered = 0.0
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin."""
        _RUNNING.append(self)
        self.live = True

    def stop(self) -> None:
        """End: take away whatever was put into torch, and leave the rest; never raises."""
        if self in _RUNNING:
            _RUNNING.remove(self)
        self.live = False
        for end in self.ends():
            with contextlib.suppress(Exception):  # the next must have its turn
                end()

    def ends(self) -> Iterator[Callable[[], object]]:
        """What there is to take away, one after another."""
        yield from ()

    def guard(self, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run our own code: timed, in its own process only, failing open."""
        if os.getpid() != self._pid or rehearsed():
            return
        began = self._entered = time.perf_counter()
        self.busy = True
        try:
            with unfollowed():
                function(*args, **kwargs)
            self.recorder.writer.tick()
        except Exception as error:  # noqa: BLE001  # whatever it is, the program goes on
            self._fail(error)
        finally:
            self.busy = False
            self.spent_s += time.perf_counter() - began

    def shielded(self, function: Callable[P, None]) -> Callable[P, None]:
        """A function that the program may run into."""

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            if self.live and not self.busy:
                self.guard(function, *args, **kwargs)

        return guarded

    def program_time(self) -> float:
        """Seconds on a clock that stands still while we are at work."""
        return (self._entered if self.busy else time.perf_counter()) - self.spent_s

    def _fail(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        self.failure = f"{type(error).__name__}: {error} ({place})"
        trace = "".join(traceback.format_exception(error))
        self.stop()
        with contextlib.suppress(Exception):  # it may be the writer that has failed
            entry = {"e": "failure", "text": self.failure, "trace": trace}
            self.recorder.emit({**entry, "step": self.recorder.steps}, now=True)
