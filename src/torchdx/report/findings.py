"""A judged run as one plain object: what the files that torchdx writes are made from.

`docs/findings-schema.md` documents it. The number in `schema` rises when a field changes meaning
or goes away; new fields do not change it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torchdx import __version__
from torchdx.record.model import Record
from torchdx.rules.base import Finding
from torchdx.rules.ranking import Diagnosis

SCHEMA = 1
_RUN_FACTS = ("run", "argv", "cwd", "started", "python", "torch", "world")


def as_object(
    record: Record,
    diagnosis: Diagnosis,
    path: Path,
    trials: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Run, findings (root first), what they explain, what was unclear, checked, and tried."""
    return {
        "schema": SCHEMA,
        "torchdx": __version__,
        "run": {
            **{key: record.meta.get(key) for key in _RUN_FACTS},
            "record": str(path),
            "steps": record.steps,
            "backwards": record.backwards,
            "status": record.end.get("status"),
            "elapsed_s": record.end.get("elapsed_s"),
            "spent_s": record.end.get("spent_s"),
            "torn_bytes": record.torn_bytes,
            "failure": record.failure or None,
            "watched_steps": record.failed_at if record.failure else record.steps,
            "error": record.end.get("error"),
        },
        "findings": [
            {**_finding(rank, f), "chain": list(diagnosis.chains.get(f.code, ()))}
            for rank, f in enumerate(diagnosis.findings, 1)
        ],
        "explained": [
            {"code": f.code, "name": f.name, "text": f.text, "by": cause}
            for f, cause in diagnosis.silenced
        ],
        "unclear": [asdict(answer) for answer in diagnosis.unclear],
        "checked": [
            {"code": code, "name": name, "outcome": outcome}
            for code, name, outcome in diagnosis.checked
        ],
        "trials": [dict(trial) for trial in trials],
    }


def _finding(rank: int, finding: Finding) -> dict[str, Any]:
    line = finding.line
    return {
        "rank": rank,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "text": finding.text,
        "place": finding.place,
        "file": line.file if line else None,
        "line": line.number if line else None,
        "source": line.text if line else None,
        "evidence": [asdict(item) for item in finding.evidence],
        "prescriptions": [asdict(item) for item in finding.prescriptions],
        "excluded": [asdict(item) for item in finding.excluded],
        "confirm": finding.confirm,
    }
