"""What an export is made from: a record, what the rules say of it, its rows and its times."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torchdx.integrations.series import Row, rows
from torchdx.record.model import Record
from torchdx.report.findings import as_object
from torchdx.rules.ranking import Diagnosis


@dataclass(frozen=True)
class Material:
    """A judged run."""

    path: Path
    record: Record
    diagnosis: Diagnosis

    @property
    def name(self) -> str:
        """The name of the run, as `torchdx runs` lists it."""
        return self.path.stem

    @cached_property
    def identity(self) -> str:
        """The same for every copy of a record and for no other run, in twelve letters."""
        facts = [self.record.meta.get(key) for key in ("run", "started", "pid", "rank")]
        text = repr(facts if self.record.meta else self.path.resolve())
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def rows(self) -> list[Row]:
        """All values, see `torchdx.integrations.series`."""
        return rows(self.record)

    @cached_property
    def last(self) -> int:
        """The last step of which anything is known."""
        return max((row.step for row in self.rows), default=self.record.steps)

    @cached_property
    def report(self) -> dict[str, Any]:
        """Run and findings as `torchdx report -o findings.json` writes them."""
        return as_object(self.record, self.diagnosis, self.path)

    @property
    def codes(self) -> list[str]:
        """`L09 summed-loss`, root first."""
        return [f"{f['code']} {f['name']}" for f in self.report["findings"]]

    @cached_property
    def began(self) -> float:
        """When the run started, Unix s; of a record that does not say, when it was last written."""
        started = self.record.meta.get("started")
        return self._written if started is None else float(started)

    @cached_property
    def ended(self) -> float:
        """When it ended; where that is not recorded, when the record was last written."""
        elapsed = self.record.end.get("elapsed_s")
        return max(self.began, self._written) if elapsed is None else self.began + float(elapsed)

    def time_of(self, step: int) -> float:
        """About when a step was done, Unix s: as if all took equally long."""
        share = min(step / max(self.last, 1), 1.0)
        return self.began + share * (self.ended - self.began)

    @property
    def settings(self) -> dict[str, Any]:
        """How the run was started, and its optimizers, schedulers and models, by flat names."""
        facts = {key: self.report["run"][key] for key in ("run", "python", "torch", "world")}
        facts["argv"] = " ".join(map(str, self.record.meta.get("argv", ())))
        for number, optimizer in self.record.optimizers.items():
            facts[f"optimizer.{number}"] = optimizer.cls
            facts |= {f"optimizer.{number}.{k}": v for k, v in optimizer.defaults.items()}
        for number, scheduler in self.record.schedulers.items():
            facts[f"scheduler.{number}"] = scheduler.cls
            facts |= {f"scheduler.{number}.{k}": v for k, v in scheduler.settings.items()}
        facts |= {f"model.{model.id}": model.cls for model in self.record.models}
        return {key: value for key, value in facts.items() if value is not None}

    @property
    def _written(self) -> float:
        return self.path.stat().st_mtime
