"""Where the time of training goes, step by step: data, computing, the rest.

From one optimizer step to the next is a *cycle*. Its time is parted on a clock that stands still
while torchdx works. Signals, at ever rarer steps, each the mean over the steps since the one before
(the place is the run, `""`; of `memory.allocated` it is the device):

time.data      seconds a step inside the data loader's `__next__`
time.compute   forward and loss, backward, the optimizer's step
time.other     the rest: before the model is called, between backward and step, after the step
time.before    of it, from the batch, or the step before, to the call of the model; measured at the
               steps whose forward is seen
time.apart     cycles in which something else happened (validation, workers started), whole; they
               count for nothing else
time.starting  of these, starting the loader's workers until their first batch
thread.running, thread.queued, thread.blocked
               shares of the training thread's time: on a core; waiting for one though it could run
               (other processes, more threads than cores); asleep (disk, locks, the GIL, a device).
               Linux only
memory.resident, memory.allocated
               bytes of the process; of torch on an accelerator

On an accelerator these are times of the host, which only queues work.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

import torch

from torchdx.events.recorder import Recorder, Sparse
from torchdx.instruments import machine

DENSE = 10  # cycles told one by one
RATIO = 1.3  # then about five times each time their number doubles
IN_A_ROW = 8  # batches without a backward pass between them: somebody validates
Clock = Callable[[], float]


class _Window:
    """Seconds of the cycles since signals were last written."""

    def __init__(self) -> None:
        self.plain = self.steps = 0
        self.data = self.compute = self.other = self.before = self.apart = self.starting = 0.0


class _Kernel:
    """Shares of the training thread's time, from one reading to the next."""

    def __init__(self) -> None:
        self._last = machine.thread_times()
        self._at = time.perf_counter()

    def shares(self) -> dict[str, float]:
        last, at = self._last, self._at
        self._last, self._at = machine.thread_times(), time.perf_counter()
        passed = self._at - at
        if last is None or self._last is None or passed <= 0:
            return {}
        running = min(1.0, max(0.0, self._last.running - last.running) / passed)
        queued = min(1.0 - running, max(0.0, self._last.queued - last.queued) / passed)
        return {"running": running, "queued": queued, "blocked": 1.0 - running - queued}


class Timing:
    """Parts the time of each cycle; each of its six marks takes some tenths of a microsecond.

    phase     where the training thread is now: `data`, `before` (between batch and backward pass),
              `compute`, `other`
    sampled   whether the cycle under way is one of those that are looked at closely
    plain     whether the last cycle was; `lasted` and `waited`: its seconds, and those for data

    Args:
        recorder: where the signals go.
        clock: seconds, less what torchdx has used.
    """

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder, self._clock = recorder, clock
        self._sparse, self._window = Sparse(DENSE, RATIO), _Window()
        self._kernel: _Kernel | None = None
        self._thread = 0
        self._mark = self._began = clock()
        self._wanted: float | None = None
        self._starting: float | None = None
        self._off: float | None = None
        self._data = self._gap = self._work = self._without_grad = 0.0
        self._before = self._seen = 0.0  # of gaps in which the call of a model was seen, and whole
        self._called: float | None = None
        self._source = self._last = 0  # the loader from which was learnt; the one that yielded last
        self._yields: defaultdict[int, int] = defaultdict(int)  # how often each has yielded, ever
        self._others: defaultdict[int, int] = defaultdict(int)  # this cycle, but for the source
        self._backwards = self._steps = 0
        self._strange = True  # the first cycle holds whatever the program did to begin with
        self.phase = "other"
        self.sampled = self.plain = False
        self.lasted = self.waited = 0.0

    # -- marks -------------------------------------------------------------------------------

    def starting(self) -> None:
        """A data loader is about to be iterated from its start."""
        self._starting = self._clock()

    def started(self, *, workers: bool) -> None:
        """It is; with workers, the cycle is another than most."""
        self._strange |= workers
        if not workers:
            self._starting = None

    def wanted(self) -> bool:
        """A batch is asked for; returns whether to look closely."""
        if self._thread and self._thread != threading.get_ident():
            return False
        self._wanted = self._mark = self._clock()
        self.phase = "data"
        return self.sampled

    def yielded(self, loader: int) -> float:
        """It has come, from the loader of this number; returns the seconds that it was waited for.

        0 when that was not seen.
        """
        if self._wanted is None:
            return 0.0
        now = self._clock()
        waited = now - self._wanted
        self._data += waited
        self._wanted, self._mark, self.phase = None, now, "before"
        self._last = loader
        self._yields[loader] += 1
        if loader != self._source:
            self._others[loader] += 1
        if self._starting is not None:
            self._window.starting += now - self._starting
            self._starting = None
        return waited

    def exhausted(self) -> None:
        """None came: the loader is at its end."""
        self._wanted, self._mark, self.phase = None, self._clock(), "other"

    def called(self) -> None:
        """A model is called; told only at some steps."""
        if self._called is None:
            self._called = self._clock()

    def backward(self) -> None:
        """A backward pass begins."""
        now = self._clock()
        gap = now - self._mark
        if self._called is not None:
            self._before += max(0.0, self._called - self._mark)
            self._seen += gap
            self._called = None
        self._gap += gap
        self._mark, self.phase = now, "compute"
        self._backwards += 1
        if self._last != self._source:
            self._source = self._last
            self._others.pop(self._last, None)

    def backward_ended(self) -> None:
        """It has ended."""
        now = self._clock()
        self._work += now - self._mark
        self._mark, self.phase = now, "other"

    def gradients(self, *, on: bool) -> None:
        """Gradients are switched off, or on again."""
        if not on:
            self._off = self._clock()
        elif self._off is not None:
            self._without_grad += self._clock() - self._off
            self._off = None

    def step_begins(self) -> None:
        """An optimizer is about to step; with a closure, the backward pass is still to come."""
        self._mark, self.phase = self._clock(), "compute"

    def step_ended(self) -> None:
        """An optimizer has stepped, maybe one of several."""
        now = self._clock()
        self._work += now - self._mark
        self._mark, self.phase = now, "other"

    def cycle_ended(self) -> None:
        """The optimizer that steps most has stepped: the cycle is over."""
        now = self._mark
        self.lasted, self.waited = now - self._began, self._data
        self.plain = not self._strange and not self._validated()
        self._take()
        self._began, self._steps = now, self._steps + 1
        self._data = self._gap = self._work = self._without_grad = 0.0
        self._called, self._strange = None, False
        if self._others:
            self._others.clear()
        if self._steps == 1:
            self._thread, self._kernel = threading.get_ident(), _Kernel()
        self.sampled = self._sparse.due(self._steps)
        if self.sampled:
            self.flush()

    # -- cycles ------------------------------------------------------------------------------

    def _validated(self) -> bool:
        """Whether much of the cycle was no training: another loader's pass, or no gradients."""
        if self._without_grad > self.lasted / 2:
            return True
        return any(
            count > IN_A_ROW or 2 * self._yields[loader] < self._backwards
            for loader, count in self._others.items()
        )

    def _take(self) -> None:
        window = self._window
        window.steps += 1
        if not self.plain:
            window.apart += self.lasted
            return
        early = self._gap * (self._before / self._seen if self._seen > 0 else 0.0)
        compute = self._work + self._gap - early
        window.plain += 1
        window.data += self._data
        window.compute += compute
        window.before += early
        window.other += max(0.0, self.lasted - self._data - compute)

    def flush(self) -> None:
        """Write down what has been summed."""
        window, self._window = self._window, _Window()
        if not window.steps or self._steps < 2:  # noqa: PLR2004  # nothing but the beginning
            return
        values = {"apart": window.apart / window.steps, "starting": window.starting / window.steps}
        if window.plain:
            values["data"] = window.data / window.plain
            values["compute"] = window.compute / window.plain
            values["other"] = window.other / window.plain
            values["before"] = window.before / window.plain
        signals = {f"time.{name}": {"": value} for name, value in values.items()}
        if self._kernel is not None and self._thread == threading.get_ident():
            signals |= {f"thread.{k}": {"": v} for k, v in self._kernel.shares().items()}
        self._before, self._seen = self._before / 2, self._seen / 2  # the newest count most
        self._recorder.signals(self._recorder.steps, signals | _memory())


def _memory() -> dict[str, dict[str, float]]:
    resident = machine.resident()
    found: dict[str, dict[str, float]] = {}
    if resident is not None:
        found["memory.resident"] = {"": float(resident)}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        devices = range(torch.cuda.device_count())
        used = {f"cuda:{d}": float(torch.cuda.memory_allocated(d)) for d in devices}
        found["memory.allocated"] = {device: size for device, size in used.items() if size}
    return found
