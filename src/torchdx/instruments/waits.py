"""What a batch is waited for: at some steps, the `__next__` of a data loader is looked at closely.

Signals, at the steps at which they are taken, each for the waits since the ones before:

wait.running, wait.queued, wait.blocked
                shares of the wait: this thread on a core, waiting for a core, asleep. Linux only
wait.own        seconds of a wait, less those in which this thread waited for a core
wait.collating  the share in which samples were put together to a batch; without workers only
workers.running share of their time that the loader's workers were on a core, or waited for one
device.starved  share of the waits at whose end the accelerator had nothing left to do

and an event `loader` for each data set: its class, the line where one sample is read, that of the
loop over it, the settings that speed depends on.
"""

import time
import weakref
from typing import Any

import torch

from torchdx.events.recorder import Recorder
from torchdx.instruments import machine

_WRAPPED = ("dataset", "datasets")  # what data sets that hold others call them
_READS = ("__getitem__", "__getitems__", "__iter__")
_SHORTEST_S = 50e-6  # shorter waits are all our own clock


class Waits:
    """Looks closely at one wait at a time."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._loaders: set[tuple[Any, ...]] = set()
        self._collating: _Collating | None = None
        self._times: machine.ThreadTimes | None = None
        self._began: float | None = None
        self._device: Any = None
        self._sums: dict[str, float] = {}
        self._workers: dict[int, tuple[float, float]] = {}

    def loader_started(self, number: int, loader: Any) -> None:
        """A data loader is iterated from its start; written down once for each setting."""
        facts = _settings(loader)
        key = (number, *facts.values())
        if key in self._loaders or len(self._loaders) > 50:  # noqa: PLR2004  # made anew each time
            return
        self._loaders.add(key)
        line = self._reading_line(loader.dataset)
        loop = self._recorder.frames.here()
        self._recorder.event("loader", line=line or 0, loader=number, loop=loop, **facts)

    def begin(self, iterator: Any) -> None:
        """A batch is asked for."""
        self.end(0.0)
        fetcher = getattr(iterator, "_dataset_fetcher", None)
        if hasattr(fetcher, "collate_fn"):
            self._collating = _Collating(fetcher)
        self._watch_workers(getattr(iterator, "_workers", None) or [])
        self._device = _mark_on_device()
        self._times, self._began = machine.thread_times(), time.perf_counter()

    def end(self, waited: float) -> None:
        """It has come, after so many seconds; or it has not (0)."""
        collating, self._collating = self._collating, None
        if collating is not None:
            collating.put_back()
        began, self._began = self._began, None
        before, device = self._times, self._device
        if began is None or waited < _SHORTEST_S:
            return
        after, passed = machine.thread_times(), time.perf_counter() - began
        self._add("waits", 1)
        self._add("passed", passed)
        if before is not None and after is not None:
            self._add("running", after.running - before.running)
            self._add("queued", after.queued - before.queued)
        if collating is not None:
            self._add("collating", collating.seconds)
        if device is not None:
            self._add("starved", float(device.query()))

    def flush(self) -> None:
        """Write down what has been summed."""
        sums, self._sums = self._sums, {}
        passed = sums.get("passed", 0.0)
        values: dict[str, float] = {}
        if passed and "running" in sums:
            running = min(1.0, sums["running"] / passed)
            queued = min(1.0 - running, sums["queued"] / passed)
            values |= {"wait.running": running, "wait.queued": queued}
            values["wait.blocked"] = 1.0 - running - queued
            values["wait.own"] = passed * (1.0 - queued) / sums["waits"]
        if passed and "collating" in sums:
            values["wait.collating"] = min(1.0, sums["collating"] / passed)
        if "starved" in sums:
            values["device.starved"] = sums["starved"] / sums["waits"]
        if sums.get("worker seconds", 0.0) > 0:
            values["workers.running"] = min(1.0, sums["worker work"] / sums["worker seconds"])
        if values:
            self._recorder.signals(self._recorder.steps, {k: {"": v} for k, v in values.items()})

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value

    def _watch_workers(self, workers: list[Any]) -> None:
        """How much of the time since they were last seen the workers have worked."""
        now, seen = time.perf_counter(), self._workers
        self._workers = {}
        for worker in workers:
            times = machine.thread_times(worker.pid) if worker.pid else None
            if times is None:
                continue
            work = times.running + times.queued
            self._workers[worker.pid] = now, work
            if worker.pid in seen:
                self._add("worker seconds", now - seen[worker.pid][0])
                self._add("worker work", work - seen[worker.pid][1])

    def _reading_line(self, dataset: Any) -> int | None:
        """Where the user's program reads one sample."""
        for held in _layers_of(dataset):
            for name in _READS:
                code = getattr(getattr(type(held), name, None), "__code__", None)
                if code is not None and self._recorder.frames.is_user(code.co_filename):
                    first = code.co_firstlineno
                    return self._recorder.frames.number(code.co_filename, first, code.co_name)
        return None


class _Collating:
    """Times a fetcher's `collate_fn` while one batch is made."""

    def __init__(self, fetcher: Any) -> None:
        self._fetcher = weakref.ref(fetcher)
        self._original = original = fetcher.collate_fn
        self.seconds = 0.0

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        fetcher.collate_fn = timed

    def put_back(self) -> None:
        fetcher = self._fetcher()
        if fetcher is not None:
            fetcher.collate_fn = self._original


def _layers_of(dataset: Any) -> list[Any]:
    """A data set and those that it holds, outermost first."""
    found: list[Any] = []
    waiting = [dataset]
    while waiting and len(found) < 10:  # noqa: PLR2004  # wrapped in one another
        held = waiting.pop(0)
        found.append(held)
        for name in _WRAPPED:
            inner = getattr(held, name, None)
            waiting += inner[:1] if isinstance(inner, list) else [] if inner is None else [inner]
    return found


def _settings(loader: Any) -> dict[str, Any]:
    sampler = getattr(loader, "batch_sampler", None)
    rows = getattr(loader, "batch_size", None) or getattr(sampler, "batch_size", None)
    dataset = loader.dataset
    return {
        "cls": type(_layers_of(dataset)[-1]).__name__,
        "rows": rows if isinstance(rows, int) else None,
        "workers": getattr(loader, "num_workers", 0),
        "persistent": bool(getattr(loader, "persistent_workers", False)),
        "threads": torch.get_num_threads(),
        "cores": machine.cores(),
    }


def _mark_on_device() -> Any:
    """An event behind all that is queued on the accelerator in use; None where there is none."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    mark = torch.cuda.Event()  # type: ignore[no-untyped-call]
    mark.record()
    return mark
