"""Sees whether the processes of a data loader draw the same random numbers.

At the start of a loader with two or more processes a page of memory is shared with them. Each
writes down numbers for the states of the random generators that it can draw from: torch's, numpy's
and Python's own, and those that the data set holds; once after `worker_init_fn`, and once when its
first batch is made. Processes that are not forked write nothing, and nothing is then said.

One `workers` event a data set:

loader, workers   its number, how many processes
alike             generators that began in the same state in two processes or more, had been drawn
                  from when the first batch was made, and were in the same state again
anew              of these, the ones that begin the second pass as they began the first; None where
                  there was no second pass with new processes
stream            whether it is an `IterableDataset`; `equal`: of the first batches of such a one,
                  the share that another process had yielded too
"""

import contextlib
import inspect
import mmap
import os
import struct
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import IterableDataset

from torchdx.events.recorder import Recorder
from torchdx.instruments.generators import GLOBAL, Place, name_of, places_of, states_of
from torchdx.instruments.tensors import plain

MOST_WORKERS = 16
MOST_GENERATORS = 12
PASSES = 2  # starts of one data set that are looked at
BATCHES = 4  # of each process that are compared
_SLOT = struct.Struct("q")


class Board:
    """The page that the processes of one pass write on.

    places  of the generators: `("torch",)` and so on for torch's, numpy's, Python's
    """

    def __init__(self, workers: int, places: list[Place]) -> None:
        self.workers, self.places = workers, places
        self._page = mmap.mmap(-1, workers * 2 * len(places) * _SLOT.size)

    def write(self, worker: int, moment: int, states: list[int]) -> None:
        """Keep what a process found at a moment: 0 at its start, 1 after its first batch."""
        at = (worker * 2 + moment) * len(self.places) * _SLOT.size
        for index, state in enumerate(states):
            _SLOT.pack_into(self._page, at + index * _SLOT.size, state)

    def read(self, worker: int, moment: int) -> list[int]:
        """What a process found; zeros where it has not written yet."""
        at = (worker * 2 + moment) * len(self.places)
        return [_SLOT.unpack_from(self._page, (at + i) * _SLOT.size)[0] for i in range(self.size)]

    @property
    def size(self) -> int:
        """Generators that are followed."""
        return len(self.places)

    def alike(self) -> set[Place]:
        """Generators that two processes drew the same numbers from."""
        found = set()
        for index, place in enumerate(self.places):
            seen: set[tuple[int, int]] = set()
            for worker in range(self.workers):
                began, went_on = (self.read(worker, moment)[index] for moment in (0, 1))
                if 0 in {began, went_on} or began == went_on:
                    continue
                if (began, went_on) in seen:
                    found.add(place)
                seen.add((began, went_on))
        return found


class Workers:
    """Follows the loaders of the program that have two processes or more."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pid = os.getpid()
        self._next: Board | None = None
        self._followed: weakref.WeakKeyDictionary[Any, _Pass] = weakref.WeakKeyDictionary()
        self._passes: dict[int, list[_Pass]] = {}

    def starting(self, loader: Any, number: int) -> None:
        """A loader is about to start its processes; `number` is its data set's."""
        self._next = None
        workers = getattr(loader, "num_workers", 0)
        if len(self._passes.get(number, ())) >= PASSES:
            return
        data = getattr(loader, "dataset", None)
        if not 2 <= workers <= MOST_WORKERS or getattr(loader, "_iterator", None) is not None:  # noqa: PLR2004
            return
        places = [*GLOBAL, *(("data", *p) for p in places_of(data))]
        self._next = Board(workers, places[:MOST_GENERATORS])

    def started(self, iterator: Any, number: int, data: Any, line: int | None) -> None:
        """It has."""
        board, self._next = self._next, None
        if board is not None:
            passes = self._passes.setdefault(number, [])
            stream = isinstance(data, IterableDataset)
            self._followed[iterator] = new = _Pass(board, line, stream=stream)
            passes.append(new)

    def yielded(self, iterator: Any, batch: Any) -> None:
        """It has yielded a batch."""
        followed = self._followed.get(iterator)
        if followed is not None and followed.stream:
            followed.take(batch)

    def flush(self) -> None:
        """Write down the data sets whose processes have drawn the same numbers."""
        for number, passes in self._passes.items():
            first = passes[0] if passes else None
            alike = set() if first is None else first.board.alike()
            if first is None or not alike or first.told == (len(passes), first.batches):
                continue
            first.told = len(passes), first.batches
            again = passes[1].board if len(passes) > 1 else None
            anew = None if again is None else _anew(first.board, again) & alike
            self._recorder.event(
                "workers",
                line=first.line,
                loader=number,
                workers=first.board.workers,
                alike=sorted(map(name_of, alike)),
                anew=None if anew is None else sorted(map(name_of, anew)),
                stream=first.stream,
                equal=first.equal if first.stream else None,
            )

    def in_worker(self, original: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What a process runs: torch's loop, with the states written down on the way."""
        board = self._next
        if board is None or os.getpid() == self._pid:
            return original(*args, **kwargs)
        with contextlib.suppress(Exception):  # the process works on, unwatched
            args, kwargs = _watched(board, original, args, kwargs)
        return original(*args, **kwargs)


def _watched(board: Board, original: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of torch's loop, with an `init_fn` and a queue that write states down."""
    bound = inspect.signature(original).bind(*args, **kwargs)
    given = bound.arguments
    data, worker, init = given["dataset"], given["worker_id"], given["init_fn"]

    def prepare(worker_id: int) -> None:
        if init is not None:
            init(worker_id)
        board.write(worker, 0, states_of(data, board.places))

    def first() -> None:
        board.write(worker, 1, states_of(data, board.places))

    given["init_fn"], given["data_queue"] = prepare, _Queue(given["data_queue"], first)
    return bound.args, bound.kwargs


class _Queue:
    """A worker's way back to the program, which notices the first batch."""

    def __init__(self, queue: Any, first: Callable[[], None]) -> None:
        self._queue, self._first = queue, first
        self._done = False

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        """Hand on."""
        made = isinstance(item, tuple) and item[1:2] != (None,)
        if made and not self._done:
            self._done = True
            self._first()
        self._queue.put(item, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


class _Pass:
    """One pass over a data set: its page, and what its first batches were."""

    def __init__(self, board: Board, line: int | None, *, stream: bool) -> None:
        self.board, self.line, self.stream = board, line, stream
        self.told = 0, 0
        self.batches = 0
        self._seen: dict[int, int] = {}
        self._equal = 0

    @property
    def equal(self) -> float:
        """Share of the batches looked at that another process had yielded."""
        return self._equal / max(1, self.batches)

    def take(self, batch: Any) -> None:
        """Know a batch again. Processes yield by turns."""
        if self.batches >= BATCHES * self.board.workers:
            return
        rows = _first_tensor(batch)
        if rows is None or rows.device.type != "cpu" or not (plain(rows) and rows.numel()):
            return
        worker = self.batches % self.board.workers
        self.batches += 1
        with torch.no_grad():
            digest = hash(bytes(rows.detach().reshape(-1).view(torch.uint8).numpy()))
        self._equal += self._seen.setdefault(digest, worker) != worker


def _anew(first: Board, second: Board) -> set[Place]:
    """Generators that begin a pass as they began the one before."""
    pairs = zip(first.places, first.read(0, 0), second.read(0, 0), strict=False)
    return {place for place, before, now in pairs if before == now != 0}


def _first_tensor(batch: Any) -> torch.Tensor | None:
    values = batch.values() if isinstance(batch, dict) else batch
    items = values if not isinstance(values, torch.Tensor) else [values]
    try:
        return next((item for item in items if isinstance(item, torch.Tensor)), None)
    except TypeError:
        return None
