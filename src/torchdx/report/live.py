"""The page of a run that goes on: what has been written of its record, judged and shown again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchdx.record.following import Follower
from torchdx.report.page import page
from torchdx.report.server import Made
from torchdx.report.view import view_of
from torchdx.rules.ranking import diagnose

Trials = Callable[[Path], list[dict[str, Any]]]


class Live:
    """Follows one record.

    Args:
        path: where the record is, or will be.
        source: whether lines of the program are shown.
        trials: finds what was tried on a run.
    """

    def __init__(self, path: Path, *, source: bool, trials: Trials) -> None:
        self._follower = Follower(path)
        self._source, self._trials = source, trials

    def version(self) -> str:
        """Of what has been written until now."""
        self._follower.poll()
        return self._follower.version

    def make(self) -> Made:
        """The page; while the run goes on only what is certain is told of it."""
        follower = self._follower
        live = follower.state in {"running", "waiting"}
        view = view_of(
            follower.record,
            diagnose(follower.record, live=live),
            follower.path,
            source=self._source,
            live=live,
            trials=[] if live else self._trials(follower.path),
        )
        return Made(page(view), follower.version)
