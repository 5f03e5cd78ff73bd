"""`with dx.watch(model, optimizer) as run:` for a notebook or a loop of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchdx.errors import CallError
from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.index import new_path
from torchdx.record.model import Record
from torchdx.record.writer import Writer
from torchdx.rules.base import Finding, Unclear
from torchdx.rules.ranking import Diagnosis, diagnose


class Watch:
    """A run that is being watched, or was."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._diagnosis: Diagnosis | None = None

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self._observer.recorder.writer.path

    @property
    def record(self) -> Record:
        """All that was seen so far."""
        return self._observer.recorder.record

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules say of it: final after the `with` block, provisional inside it."""
        return self._diagnosis or diagnose(self.record)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Causes, root first."""
        return self.diagnosis.findings

    @property
    def unclear(self) -> tuple[Unclear, ...]:
        """What could not be judged, and why."""
        return self.diagnosis.unclear

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        from torchdx.report import terminal  # noqa: PLC0415  # rich only when shown

        return terminal.as_text(self.record, self.diagnosis, self.path)


_watching: list[Observer] = []


@contextmanager
def watch(
    model: nn.Module | None = None,
    optimizer: Optimizer | None = None,
    *,
    record: Path | str | None = None,
    quiet: bool = False,
) -> Iterator[Watch]:
    """Observe the training in the block.

    Args:
        model: the module that is trained. It gives its parameters their names; without it they
            are named when it is first called.
        optimizer: known from its first step without this; naming it lets torchdx tell an
            optimizer that never steps.
        record: file of the record; a new one under `.torchdx/` by default.
        quiet: print no findings while the block runs, and no summary behind it.

    Yields:
        The run: `run.findings`, `run.unclear`, `run.record`.

    Raises:
        CallError: a run is being watched already in this process, something stands at `record`,
            or an argument is of the wrong type.
    """
    if model is not None and not isinstance(model, nn.Module):
        msg = f"watch(model) needs a torch.nn.Module, it was given a {type(model).__name__}."
        raise CallError(msg)
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        msg = f"watch(optimizer) needs a torch.optim.Optimizer, not a {type(optimizer).__name__}."
        raise CallError(msg)
    if _watching:
        msg = "a run is being watched already in this process; end that `with` block first."
        raise CallError(msg)
    path = Path(record) if record is not None else new_path("notebook")
    if path.exists():
        msg = (
            f"there is {'a folder' if path.is_dir() else 'a record'} {path} already; name another."
        )
        raise CallError(msg)
    from torchdx.report import terminal  # noqa: PLC0415  # rich only when something is printed

    observer = Observer(Recorder(Writer(path)), told=None if quiet else terminal.tell)
    watched = Watch(observer)
    _watching.append(observer)
    observer.start()
    observer.introduce(model, optimizer)
    try:
        yield watched
    finally:
        watched._diagnosis = observer.finish()
        _watching.clear()
        if not quiet:
            failure = observer.recorder.writer.failure
            terminal.summary(watched.record, watched.diagnosis, watched.path, failure=failure)
