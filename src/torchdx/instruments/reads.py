"""Reads of tensor values by the program: `.item()`, `float()`, `print`, ... and what they cost.

A read waits until the value has been computed: on an accelerator, for all work that is queued. It
is seen only while it happens: for single cycles the methods of `torch.Tensor` that hand a value to
Python are replaced. Written down as one event `reads` for each line, counts so far:

op        the method; `device` where the tensor was
cycles    watched; `seconds` that they lasted in all; `read`: those in which this line was
count     reads in them; `blocked` seconds inside them
looping   seconds in which reads from this line followed one another at less than `CLOSE_S`: the
          reads and what stands between them

Reads inside a data loader are the loader's affair, and do not count.
"""

import functools
import math
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from torchdx.events.patches import Patches
from torchdx.events.recorder import Recorder

# method -> what the record calls it. What torch calls itself is told by its caller's file.
METHODS = {
    "item": "item()",
    "tolist": "tolist()",
    "cpu": "cpu()",
    "to": "to('cpu')",
    "numpy": "numpy()",
    "__array__": "numpy()",
    "__float__": "float()",
    "__int__": "int()",
    "__bool__": "bool()",
    "__index__": "index",
    "__repr__": "print",
    "__format__": "print",
}
CLOSE_S = 100e-6  # a model's call takes longer, indexing and comparing do not
_INTERRUPTED = 5  # times the median: a read on a CPU that takes longer was interrupted
_KEPT = 512  # reads of a line whose times are kept
_LINES = 200  # that are counted
_TOLD = 10  # and written down

Clock = Callable[[], float]


class _Line:
    """What was read at a line: how often, the seconds of each read, and those from one to the next.

    Of very many, the first `_KEPT` stand for all.
    """

    def __init__(self, op: str, device: str) -> None:
        self.op, self.device = op, device
        self.count = self.close = self.cycles = 0
        self._reads: list[float] = []
        self._gaps: list[float] = []

    def read(self, lasted: float, gap: float) -> None:
        """A read that came so long after the one before it; far apart, they are no loop."""
        self.count += 1
        if len(self._reads) < _KEPT:
            self._reads.append(lasted)
        if self.count > 1 and gap < CLOSE_S:
            self.close += 1
            if len(self._gaps) < _KEPT:
                self._gaps.append(gap)

    def add(self, other: "_Line") -> None:
        """Those of another cycle."""
        self.cycles += 1
        self.count += other.count
        self.close += other.close
        self._reads += other._reads[: _KEPT - len(self._reads)]
        self._gaps += other._gaps[: _KEPT - len(self._gaps)]

    @property
    def blocked(self) -> float:
        """Seconds inside all reads."""
        return self.count * self._mean(self._reads)

    @property
    def looping(self) -> float:
        """The same, with what stands between reads that followed one another at once."""
        return self.blocked + self.close * self._mean(self._gaps)

    def _mean(self, values: list[float]) -> float:
        """On a CPU, less the moments in which the machine did something else."""
        if not values:
            return 0.0
        most = _INTERRUPTED * median(values) if self.device == "cpu" else math.inf
        return sum(min(value, most) for value in values) / len(values)


class Reads:
    """Replaced methods of `torch.Tensor`, for single cycles.

    Args:
        recorder: where the counts go.
        clock: seconds, less what torchdx has used.
        shielded: makes a function safe to call from the program.
        phase: what the training thread is doing now, in a word.
    """

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        shielded: Callable[[Callable[..., None]], Any],
        phase: Callable[[], str],
    ) -> None:
        self._recorder, self._clock, self._phase = recorder, clock, phase
        self._noticed = shielded(self._notice)
        self._patches = Patches()
        self._lines: dict[int, _Line] = {}
        self._now: dict[int, _Line] = {}  # in this cycle
        self._ended = 0.0
        self.cycles, self.seconds = 0, 0.0
        self.on = False

    def begin(self) -> None:
        """Watch the cycle that begins."""
        if self.on:
            return
        self.on, self._now, self._ended = True, {}, 0.0
        for name, operation in METHODS.items():
            self._patches.replace(torch.Tensor, name, self._method(operation))

    def end(self, lasted: float | None = None) -> None:
        """It is over; `lasted` seconds, or None when it shall not count."""
        if not self.on:
            return
        self.on = False
        self._patches.undo()
        now, self._now = self._now, {}
        if lasted is None:
            return
        self.cycles += 1
        self.seconds += lasted
        for number, line in now.items():
            if number in self._lines or len(self._lines) < _LINES:
                self._lines.setdefault(number, _Line(line.op, line.device)).add(line)

    def flush(self) -> None:
        """Write down the lines that cost most."""
        dearest = sorted(self._lines.items(), key=lambda item: -item[1].looping)
        for number, line in dearest[:_TOLD]:
            self._recorder.event(
                "reads",
                line=number,
                op=line.op,
                device=line.device,
                cycles=self.cycles,
                seconds=self.seconds,
                read=line.cycles,
                count=line.count,
                blocked=line.blocked,
                looping=line.looping,
            )

    def _method(self, operation: str) -> Callable[[Any], Any]:
        clock, noticed, is_user = self._clock, self._noticed, self._recorder.frames.is_user

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def reading(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
                if torch.compiler.is_compiling():
                    return original(tensor, *args, **kwargs)
                caller = sys._getframe(1).f_code.co_filename
                if not is_user(caller):
                    return original(tensor, *args, **kwargs)
                began = clock()
                result = original(tensor, *args, **kwargs)
                noticed(operation, tensor, result, began)
                return result

            return reading

        return make

    def _notice(self, operation: str, tensor: torch.Tensor, result: Any, began: float) -> None:
        device = tensor.device.type
        if self._phase() == "data":
            return
        if operation in {"cpu()", "to('cpu')"} and not (
            device != "cpu" and isinstance(result, torch.Tensor) and result.device.type == "cpu"
        ):
            return
        ended = self._clock()
        number = self._recorder.frames.here()
        gap, self._ended = began - self._ended, ended
        if number is None:
            return
        line = self._now.get(number)
        if line is None:
            line = self._now[number] = _Line(operation, device)
        line.read(ended - began, gap)
