"""Scripts under `torchdx run`, for a study that asks what torchdx says of them."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from torchdx.boot.nursery import Birth, Nursery, kill
from torchdx.errors import CallError
from torchdx.record.reader import read
from torchdx.rules.base import Finding
from torchdx.rules.ranking import diagnose

_LIMIT_S = 300.0


@dataclass(frozen=True)
class Observed:
    """What a script printed in its last line, as JSON, and what was found in it."""

    results: dict[str, float]
    findings: tuple[Finding, ...]

    @property
    def first(self) -> str:
        """The code that is named first; empty where nothing is."""
        return self.findings[0].code if self.findings else ""

    @property
    def alarms(self) -> int:
        """Faults and suspicions; notes are none."""
        return sum(finding.severity != "note" for finding in self.findings)


def observed(text: str, name: str, seed: int) -> Observed:
    """Run a script in a process of its own, with the seed as its argument.

    Args:
        text: the script.
        name: of its file, without folder and ending.
        seed: its only argument.

    Raises:
        CallError: it ended without a result.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        script, record = folder / f"{name}.py", folder / f"{name}.dx"
        script.write_text(text, encoding="utf-8")
        call = ["torchdx", "run", "-q", "-f", "--record", str(record), str(script), str(seed)]
        out, err = folder / "out.txt", folder / "err.txt"
        _run(Birth("torchdx.lab.observed:born", json.dumps(call), made, str(out), str(err), {}))
        said = out.read_text(encoding="utf-8").strip().splitlines()
        try:
            results = json.loads(said[-1])
            found = diagnose(read(record)).findings
        except (IndexError, ValueError):
            msg = f"{name}.py gave no result: {err.read_text(encoding='utf-8').strip()[-300:]}"
            raise CallError(msg) from None
    return Observed(results, found)


def _run(birth: Birth) -> None:
    variables = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with Nursery.lent(variables) as nursery:
        pid = nursery.begin(birth)
        try:
            nursery.wait(_LIMIT_S)
        except TimeoutError:
            kill(pid)
            nursery.wait(None)


def born(call: str) -> None:
    """What a child of the nursery does: the command line that it is given."""
    from torchdx.cli import main as torchdx  # noqa: PLC0415

    sys.argv = json.loads(call)
    torchdx()
