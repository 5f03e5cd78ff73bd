"""At which lines of the program the training thread is found: a profile of a few short stretches.

A thread of ours looks every two milliseconds where the training thread stands, for `STRETCH_S` at
a time, until `SAMPLES` were taken, and is gone in between. It reads frames and touches nothing.
Python hands over between bytecodes, so that lines which never let go of the interpreter are seen a
little late; shares of less than a tenth mean nothing.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType

from torchdx.events.frames import CALL_CODE
from torchdx.events.recorder import Recorder

EVERY_S = 0.002
STRETCH_S = 0.1
SAMPLES = 300
TOTAL_S = 3.0  # on a machine with much else to do the samples come more slowly
_TOLD = 12  # lines written down, the most frequent
_DEEPEST = 100  # frames that are followed

Spot = tuple[str, bool, str, int, str]  # phase, inside a module's call, file, line, function


class Whereabouts:
    """Counts where the thread is that called `begin`.

    Args:
        recorder: where the counts go.
        phase: what the training thread is doing now, in a word; empty when it works for us.
    """

    def __init__(self, recorder: Recorder, phase: Callable[[], str]) -> None:
        self._recorder, self._phase = recorder, phase
        self._counts: Counter[Spot] = Counter()
        self._told = 0
        self._used, self._began = 0.0, 0.0
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def begin(self) -> None:
        """A stretch begins, unless one is under way or enough was seen."""
        if self._thread is not None or self._used > TOTAL_S or self._counts.total() >= SAMPLES:
            return
        self._over, self._began = threading.Event(), time.perf_counter()
        arguments = (threading.get_ident(), self._over)
        self._thread = threading.Thread(target=self._watch, args=arguments, daemon=True)
        self._thread.start()

    def cycle_ended(self) -> None:
        """A good moment to end a stretch that has lasted long enough."""
        if self._thread is not None and time.perf_counter() - self._began > STRETCH_S:
            self.end()

    def end(self) -> None:
        """End the stretch, if there is one."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()
            self._used += time.perf_counter() - self._began

    def flush(self) -> None:
        """Write down all counts so far, when there are new ones."""
        samples = self._counts.total()
        if samples == self._told:
            return
        self._told = samples
        number = self._recorder.frames.number
        lines = [
            [number(file, line, function), phase, inside, count]
            for (phase, inside, file, line, function), count in self._counts.most_common(_TOLD)
        ]
        self._recorder.event("whereabouts", line=0, samples=samples, lines=lines)

    def _watch(self, thread: int, over: threading.Event) -> None:
        while not over.wait(EVERY_S):
            phase = self._phase()
            spot = self._spot(sys._current_frames().get(thread), phase) if phase else None
            if spot is not None:
                self._counts[spot] += 1

    def _spot(self, frame: FrameType | None, phase: str) -> Spot | None:
        found: FrameType | None = None
        inside = False
        for _ in range(_DEEPEST):
            if frame is None:
                break
            inside |= frame.f_code is CALL_CODE
            if found is None and self._recorder.frames.is_user(frame.f_code.co_filename):
                found = frame
            frame = frame.f_back
        if found is None:
            return None
        code = found.f_code
        return phase, inside, code.co_filename, found.f_lineno, code.co_name
