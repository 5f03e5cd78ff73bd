"""The state machine that turns single events into steps, epochs and validation phases.

It knows numbers and lines only, no tensors: what is between two optimizer steps is that step's
*shape*, and what is between the start and the end of a data loader is a *phase*.
"""

from dataclasses import dataclass
from typing import Any

from torchdx.events.recorder import Recorder, Sparse

Token = tuple[str, int | None, int]

_MAX_TOKENS = 300  # a step of more events than this is cut off there
_MAX_SHAPES = 64  # further shapes are counted under the last
_MAX_PHASES = 200  # each of the first; then ever rarer


@dataclass
class Pass:
    """A phase that is still open.

    right, scored   rows whose answer was the label, and rows so judged; `first` and `last` those of
                    its first and last batch
    """

    loader: int
    step: int
    line: int | None
    shuffled: bool = False
    batches: int = 0
    backwards: int = 0
    steps: int = 0
    training: bool | None = None
    active: int = 0
    no_grad: bool = False
    right: float = 0.0
    scored: int = 0
    first: int = 0
    last: int = 0
    loss_sum: float = 0.0
    measured: int = 0
    model: str = ""
    at: int = 0
    during: int = 0
    chosen: bool = False
    inputs: int = 0
    repeated: bool = False
    complete: bool = False
    size: int = 0
    batch: Any = None

    def entry(self) -> dict[str, Any]:
        """As the record keeps it."""
        return {
            "e": "phase",
            "loader": self.loader,
            "step": self.step,
            "line": self.line,
            "shuffled": self.shuffled,
            "batches": self.batches,
            "backwards": self.backwards,
            "steps": self.steps,
            "training": self.training,
            "active": self.active,
            "no_grad": self.no_grad,
            "accuracy": self.right / self.scored if self.scored else None,
            "loss": self.loss_sum / self.measured if self.measured else None,
            "rows": self.measured,
            "model": self.model,
            "at": self.at,
            "during": self.during,
            "chosen": self.chosen,
            "inputs": self.inputs,
            "repeated": self.repeated,
            "complete": self.complete,
            "size": self.size,
        }


class Loop:
    """Counts, shapes and phases of one run."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tokens: list[Token] = []
        self._shapes: dict[tuple[Any, ...], int] = {}
        self._open: dict[int, Pass] = {}
        self._quiet: Pass | None = None
        self._current: Pass | None = None
        self._ended: Pass | None = None
        self._emitted = 0
        self._sparse = Sparse(_MAX_PHASES)
        self.backwards = 0
        self.shape_counts: dict[int, int] = {}
        self.optimizer_steps: dict[int, int] = {}

    def token(self, kind: str, line: int | None, about: int = 0) -> None:
        """Something that belongs to the step now under way."""
        if len(self._tokens) < _MAX_TOKENS:
            self._tokens.append((kind, line, about))

    def backward(self, line: int | None, graph: int) -> None:
        """A backward pass begins."""
        if self._ended is not None:
            self._ended.backwards += 1
            self._settle()
        self.backwards += 1
        self.token("backward", line, graph)
        self.close_quiet()
        if self._current is not None:
            self._current.backwards += 1

    def step(self, optimizer: int, line: int | None) -> int:
        """An optimizer has stepped; returns how often it has."""
        key = (optimizer, *self._tokens)
        number = self._shapes.get(key)
        if number is None:
            number = self._new_shape(key, optimizer, line)
        self.shape_counts[number] = self.shape_counts.get(number, 0) + 1
        self._tokens = []
        done = self.optimizer_steps[optimizer] = self.optimizer_steps.get(optimizer, 0) + 1
        self._recorder.steps = max(self._recorder.steps, done)
        self.close_quiet()
        if self._current is not None:
            self._current.steps += 1
        return done

    def _new_shape(self, key: tuple[Any, ...], optimizer: int, line: int | None) -> int:
        if len(self._shapes) >= _MAX_SHAPES:
            return _MAX_SHAPES
        number = self._shapes[key] = len(self._shapes) + 1
        events = [*self._tokens, ("step", line, optimizer)]
        entry = {"e": "shape", "id": number, "optimizer": optimizer, "events": events}
        self._recorder.emit(entry)
        return number

    def open_pass(self, loader: int, *, line: int | None, shuffled: bool) -> None:
        """A data loader starts over."""
        self.close_pass(loader)
        self._settle()
        self.close_quiet()
        self._open[loader] = Pass(loader, self._recorder.steps, line, shuffled, at=self.backwards)

    def batch(self, loader: int, batch: Any, line: int | None, rows: int = 0) -> None:
        """A data loader has yielded a batch. It is kept until the next, for the labels in it."""
        current = self._open.get(loader)
        if current is None:
            current = Pass(loader, self._recorder.steps, line, at=self.backwards)
            self._open[loader] = current
        self._settle()
        if current.batches == 0:
            current.at, current.size = self.backwards, rows
        current.during = self.backwards - current.at
        current.batches += 1
        current.batch = batch
        self._current = current
        self.token("data", line, loader)

    def under_way(self, loader: int) -> Pass | None:
        """The open pass over a data loader."""
        return self._open.get(loader)

    def close_pass(self, loader: int, *, complete: bool = False) -> None:
        """A data loader has come to its end (`complete`), or is left for another start."""
        closing = self._open.pop(loader, None)
        if closing is None:
            return
        closing.batch, closing.complete = None, complete
        if self._current is closing:
            self._current = None
        if closing.backwards == 0:
            self._tokens = [t for t in self._tokens if t[0] != "data" or t[2] != loader]
        if closing.backwards or closing.no_grad or closing.training is None:
            self._emit(closing)
        else:  # the next backward may still belong to it: losses summed over the whole pass
            self._settle()
            self._ended = closing

    def _settle(self) -> None:
        """Whatever comes next, a pass that has ended is over."""
        if self._ended is not None:
            ended, self._ended = self._ended, None
            self._emit(ended)

    def forward(self, *, grad: bool, line: int | None) -> Pass | None:
        """The phase to which a model's forward belongs."""
        self._settle()
        current = self._current
        if current is not None and (grad or current.backwards == 0):
            return current
        if grad:
            return None
        if self._quiet is None:
            self._quiet = Pass(0, self._recorder.steps, line, at=self.backwards)
        self._quiet.batches += 1
        return self._quiet

    def close_quiet(self) -> None:
        """Training goes on: the stretch without gradients is over."""
        if self._quiet is not None:
            closing, self._quiet = self._quiet, None
            self._emit(closing)

    def close(self) -> None:
        """The run ends: every phase with it."""
        self.close_quiet()
        for loader in list(self._open):
            self.close_pass(loader)
        self._settle()

    def _emit(self, closing: Pass) -> None:
        self._emitted += 1
        if closing.batches and self._sparse.due(self._emitted):
            self._recorder.emit(closing.entry())

    @property
    def at_hand(self) -> Any:
        """The batch that a data loader yielded last, None when there is none."""
        return None if self._current is None else self._current.batch

    @property
    def learning(self) -> bool:
        """Whether the pass that is under way has had a backward pass."""
        return self._current is not None and self._current.backwards > 0

    @property
    def loader(self) -> int:
        """The data loader that yielded last, 0 when none."""
        return 0 if self._current is None else self._current.loader
