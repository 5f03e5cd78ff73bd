"""Data loaders that were there when a kept state was restored, and were never read.

One `unread-loaders` event at the end of the run: names of the variables, and rows where the data
set is one of torch's own.
"""

import weakref
from typing import Any

from torch.utils.data import DataLoader, Subset, TensorDataset

from torchdx.events.frames import variables_of
from torchdx.events.numbers import Numbers
from torchdx.events.recorder import Recorder

_FRAMES = 3  # of the user's program, nearest first


class Unread:
    """Remembers, weakly, which data sets waited."""

    def __init__(self, recorder: Recorder, data: Numbers) -> None:
        self._recorder, self._data = recorder, data
        self._waiting: dict[int, tuple[weakref.ref[Any], str, int | None]] = {}

    def restored(self) -> None:
        """A state dict is loaded after training."""
        for frame in self._recorder.frames.user_frames(_FRAMES):
            for name, value in variables_of(frame).items():
                if isinstance(value, DataLoader) and not self._data.known(value.dataset):
                    self._wait(name, value.dataset)

    def read(self, dataset: Any) -> None:
        """A loader of this data set is iterated."""
        self._waiting.pop(id(dataset), None)

    def flush(self) -> None:
        """The run is over."""
        left = list(self._waiting.values())
        if left:
            facts = {"names": [name for _, name, _ in left], "rows": [rows for _, _, rows in left]}
            self._recorder.event("unread-loaders", line=0, **facts)

    def _wait(self, name: str, dataset: Any) -> None:
        try:
            reference = weakref.ref(dataset)
        except TypeError:
            return
        rows = len(dataset) if type(dataset) in {TensorDataset, Subset} else None
        self._waiting.setdefault(id(dataset), (reference, name, rows))
