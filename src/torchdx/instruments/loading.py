"""Follows data loaders: passes over them, the batches that they yield, the processes that work."""

import weakref
from typing import Any

from torch.utils.data import RandomSampler, WeightedRandomSampler

from torchdx.events.lens import tensors_in
from torchdx.events.loop import Loop
from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder
from torchdx.instruments.skips import Skips
from torchdx.instruments.speed import Speed
from torchdx.instruments.tallies import Tallies
from torchdx.instruments.unread import Unread
from torchdx.instruments.workers import Workers


class Loading:
    """Tells the instruments of data what loaders do. Loaders of one data set count as one."""

    def __init__(self, recorder: Recorder, loop: Loop, speed: Speed) -> None:
        self._recorder, self._loop, self._speed = recorder, loop, speed
        self._data = Numbers()
        self._tallies = Tallies(recorder, self._data)
        self._skips = Skips(recorder, loop)
        self._iterators: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._weighted: set[int] = set()
        self.unread = Unread(recorder, self._data)
        self.workers = Workers(recorder)

    def starting(self, loader: Any) -> None:
        """A `DataLoader` is about to be iterated from its start."""
        self._speed.loader_starting()
        self.workers.starting(loader, self._data.of(getattr(loader, "dataset", loader)))

    def started(self, loader: Any, iterator: Any) -> None:
        """It is."""
        data, sampler = getattr(loader, "dataset", loader), getattr(loader, "sampler", None)
        number = self._data.of(data)
        self.unread.read(data)
        if isinstance(sampler, WeightedRandomSampler) and number not in self._weighted:
            self._weighted.add(number)
            self._recorder.event("weighted-sampler", loader=number)
        self._iterators[iterator] = number
        self._speed.loader_started(number, loader)
        line = self._recorder.frames.here()
        self.workers.started(iterator, number, data, line)
        self._loop.open_pass(number, line=line, shuffled=isinstance(sampler, RandomSampler))

    def failed(self) -> None:
        """It has raised an exception."""
        self._speed.missed()

    def yielded(self, iterator: Any, batch: Any) -> None:
        """It has yielded a batch."""
        number = self._iterators.get(iterator)
        self._speed.yielded(number or 0)
        self.workers.yielded(iterator, batch)
        if number is not None:
            self._skips.batch_over()
            rows = next((len(t) for t in tensors_in(batch) if t.dim()), 0)
            self._loop.batch(number, batch, self._recorder.frames.here(), rows)

    def ended(self, iterator: Any) -> None:
        """It has come to its end."""
        self._speed.missed()
        number = self._iterators.get(iterator)
        if number is not None:
            self._skips.batch_over()
            if (closing := self._loop.under_way(number)) is not None:
                self._tallies.ended(closing)
            self._loop.close_pass(number, complete=True)

    def flush(self) -> None:
        """The run is over: write down what was gathered."""
        self._skips.flush()
        self.workers.flush()
        self.unread.flush()
