"""Asks the rules while the run goes on, and writes down what they find."""

import time
from collections.abc import Callable
from typing import Any

from torchdx.events.recorder import Recorder, Sparse
from torchdx.rules.base import Finding
from torchdx.rules.ranking import Diagnosis, diagnose

WITHOUT_STEPS = (12, 120, 1200)  # backward passes of a program that steps no optimizer
TOTALS_SHARE = 0.02  # counts are written again when this share of the run has gone by since

Told = Callable[[Finding], None]


class Judge:
    """Tells a finding once.

    Args:
        recorder: holds what the rules see.
        totals: the counts so far.
        told: called once for each finding, while the run goes on.
    """

    def __init__(
        self, recorder: Recorder, totals: Callable[[], dict[str, Any]], told: Told | None
    ) -> None:
        self._recorder, self._totals, self._told = recorder, totals, told
        self._sparse = Sparse(3, ratio=2.0)
        self._reported: set[str] = set()
        self.began = self._counted_at = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to ask, after a step."""
        return self._sparse.due(self._recorder.steps)

    def count(self) -> None:
        """Write down the counts."""
        now = self._counted_at = time.monotonic()
        elapsed = round(now - self.began, 3)
        self._recorder.emit({"e": "totals", "elapsed_s": elapsed, **self._totals()})

    def count_at_times(self) -> None:
        """Write them down where the last are old."""
        now = time.monotonic()
        if now - self._counted_at > 2 + TOTALS_SHARE * (self._counted_at - self.began):
            self.count()

    def ask(self) -> bool:
        """Ask the rules, and tell what is new; returns whether anything is."""
        new = [f for f in diagnose(self._recorder.record, live=True).findings if self._keep(f)]
        if self._told is not None:
            for finding in new:
                self._told(finding)
        return bool(new)

    def close(self) -> Diagnosis:
        """Judge the whole run."""
        diagnosis = diagnose(self._recorder.record)
        for finding in diagnosis.findings:
            self._keep(finding)
        return diagnosis

    def _keep(self, finding: Finding) -> bool:
        """Write a finding down; False when it was before."""
        if finding.code in self._reported:
            return False
        self._reported.add(finding.code)
        line = finding.line
        entry = {"e": "finding", "code": finding.code, "name": finding.name, "text": finding.text}
        facts = {"severity": finding.severity, "step": self._recorder.steps}
        where = {"file": line.file, "line": line.number} if line else {}
        self._recorder.emit({**entry, **facts, **where}, now=True)
        return True
