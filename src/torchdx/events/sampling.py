"""Carries a sampled step to the instruments: the calls of its models, its loss, its end."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from torchdx.events.glimpse import Call, Glimpse, RandomState
from torchdx.events.recorder import Recorder
from torchdx.graph import heads
from torchdx.instruments.governor import Governor, Level

MAX_CALLS = 8  # calls of a step that are kept
MAX_JUDGED = 200  # validation calls between two steps that are told
_RARER = 10  # of further ones every so many
_AGAIN = 5  # losses of a new structure that are looked at beside the governor's steps
_FRESH = 20  # backward passes of each: as many as of the first steps


class Instrument(Protocol):
    """What an instrument may listen to. Tensors are to be read at once: they may change later."""

    def wants(self, step: int) -> bool:
        """Whether a step must be seen, whatever the governor thinks of it."""

    def learning(self, glimpse: Glimpse) -> None:
        """Backward is about to run: the graph still has what it keeps."""

    def learned(self, glimpse: Glimpse) -> None:
        """Backward has run; the weights are still those of the forward."""

    def judged(self, call: Call, step: int) -> None:
        """A model was called without gradients after so many steps."""

    def flush(self) -> None:
        """Rules are about to be asked: write down what was gathered."""


class Quiet:
    """An instrument that listens to nothing; others override what they need."""

    def wants(self, step: int) -> bool:
        """No step in particular."""
        del step
        return False

    def learning(self, glimpse: Glimpse) -> None:
        """Nothing."""

    def learned(self, glimpse: Glimpse) -> None:
        """Nothing."""

    def judged(self, call: Call, step: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""


def autocast_now() -> tuple[str, torch.dtype] | None:
    """Device type and precision of the autocast that is on, None for none."""
    for device in ("cuda", "cpu"):
        if torch.is_autocast_enabled(device):
            return device, torch.get_autocast_dtype(device)
    return None


class Sampling:
    """Chooses steps by the governor, gathers what they show, and hands it on."""

    def __init__(
        self,
        recorder: Recorder,
        governor: Governor,
        arm: Callable[[], None],
        rest: Callable[[], None],
    ) -> None:
        """`arm` has forwards watched, `rest` lets them be."""
        self._recorder, self._arm, self._rest = recorder, arm, rest
        self.governor = governor
        self.instruments: list[Instrument] = []
        self.model_called: Callable[[], None] | None = None
        self.module_called: Callable[[nn.Module, Any, Any], None] | None = None
        self._again, self._fresh, self._raised = 0, 0, False
        self._cycles = 0
        self._calls: list[Call] = []
        self._open: Call | None = None
        self._pending: Glimpse | None = None
        self._judged = 0
        self.level = Level.FULL
        self._states = True

    @property
    def step(self) -> int:
        """The optimizer step under way, from 1."""
        return self._recorder.steps + 1

    def called(
        self, model: nn.Module, path: str, args: Any, *, learning: bool, line: int | None
    ) -> None:
        """The program calls a model."""
        if self.model_called is not None:
            self.model_called()
        self._open = None
        if learning and (self.level is Level.NONE or len(self._calls) >= MAX_CALLS):
            return
        state = RandomState.now() if learning and self._states else None
        self._open = Call(model, path, tuple(args), model.training, learning, line, state)
        if learning:
            self._open.autocast = autocast_now()

    def inner(self, module: nn.Module, args: Any, output: Any) -> None:
        """A module inside it, or it itself, has returned."""
        call = self._open
        if call is not None and call.learning and self.level is Level.FULL and self.module_called:
            self.module_called(module, args, output)

    def returned(self, kwargs: Any, output: Any, labels: torch.Tensor | None, loader: int) -> None:
        """The call has ended."""
        call, self._open = self._open, None
        if call is None:
            return
        call.kwargs, call.output, call.labels, call.loader = kwargs, output, labels, loader
        if call.learning:
            self._calls.append(call)
            return
        self._judged += 1
        if self._judged <= MAX_JUDGED or self._judged % _RARER == 0:
            for instrument in self.instruments:
                instrument.judged(call, self._recorder.steps)

    def failed(self) -> None:
        """The call has raised an exception instead."""
        self._open = None

    def look_again(self) -> None:
        """A loss of a new structure has turned up late: look at its next backward passes.

        A second stage whose optimizer takes fewer steps than the first's has no steps of its own.
        """
        if self._again < _AGAIN:
            self._again, self._fresh = self._again + 1, _FRESH
            self._raise()

    def _raise(self) -> None:
        if self.level is Level.NONE:
            self.level, self._raised = Level.CHEAP, True
            self._arm()

    def _tire(self) -> None:
        self._fresh = max(0, self._fresh - 1)
        if self._raised and self._fresh == 0:
            self.level, self._raised = Level.NONE, False
            self._rest()

    def before_backward(self, root: Any, graph: int, line: int | None) -> None:
        """Backward begins from `root`."""
        self._pending = None
        if self.level is not Level.NONE and isinstance(root, torch.Tensor):
            full = self.level is Level.FULL
            calls = tuple(self._calls)
            head = heads.read(root)
            self._pending = Glimpse(self.step, calls, root, head, graph, line, full)
            for instrument in self.instruments:
                instrument.learning(self._pending)
        self._calls = []

    def after_backward(self) -> None:
        """It has ended."""
        glimpse, self._pending = self._pending, None
        if glimpse is not None:
            for instrument in self.instruments:
                instrument.learned(glimpse)
        self._tire()

    def stepped(self, step: int, spent: float) -> None:
        """A cycle has ended; `step` steps are done by the optimizer that steps most.

        The governor counts cycles, so that models that learn one after another share its budget.
        """
        self._calls, self._open, self._judged = [], None, 0
        self._cycles += 1
        self.level = self.governor.next(self._cycles + 1, spent)
        wanted = any(instrument.wants(step + 1) for instrument in self.instruments)
        self._states = wanted or self.level is Level.FULL
        if wanted and self.level is Level.NONE:
            self.level = Level.CHEAP
        self._raised = False
        if self._fresh:
            self._raise()
        if self.level is not Level.NONE:
            self._arm()

    def flush(self) -> None:
        """Have everything written down."""
        for instrument in self.instruments:
            instrument.flush()
