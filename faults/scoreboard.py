"""Runs every sick program and its twin under `torchdx run`, and says how they fared.

    python faults/scoreboard.py                    all of them
    python faults/scoreboard.py digits_l1 O03      some, by name or code

A sick program counts as *found* when its code is among the findings, as *named first* when the
first finding has it, and as *line right* when that finding points to a line that the manifest
allows. A twin must be silent: any fault or suspicion there is a false alarm.
"""

import os
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from torchdx.record.reader import read
from torchdx.rules.base import Finding
from torchdx.rules.ranking import diagnose

HERE = Path(__file__).parent
FASHION = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
TIME_LIMIT_S = 300


@dataclass(frozen=True)
class Fault:
    """One pair of programs, as its manifest describes it."""

    name: str
    code: str
    lines: tuple[str, ...]
    data: str
    also: tuple[str, ...] = ()

    @property
    def sick(self) -> Path:
        return HERE / "sick" / f"{self.name}.py"

    @property
    def twin(self) -> Path:
        return HERE / "twins" / f"{self.name}.py"

    @property
    def runnable(self) -> bool:
        """Whether its data is on this machine."""
        return not self.data.startswith("fashion") or FASHION.exists()


@dataclass(frozen=True)
class Outcome:
    """How one pair fared. `alarms` are the codes told of the twin."""

    fault: Fault
    codes: tuple[str, ...]
    first: str
    line_right: bool
    alarms: tuple[str, ...]
    seconds: float

    @property
    def found(self) -> bool:
        return self.fault.code in self.codes

    @property
    def named_first(self) -> bool:
        return self.first == self.fault.code


def faults() -> list[Fault]:
    """All pairs, in the order of their codes."""
    listed = []
    for manifest in sorted((HERE / "manifest").glob("*.toml")):
        for entry in tomllib.loads(manifest.read_text())["fault"]:
            also = tuple(entry.get("also", ()))
            known = (entry["name"], entry["code"], tuple(entry["lines"]), entry["data"], also)
            listed.append(Fault(*known))
    return sorted(listed, key=lambda fault: (fault.code, fault.name))


def findings_of(script: Path) -> tuple[Finding, ...]:
    """What `torchdx run` finds in a program."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "run.dx"
        call = [sys.executable, "-m", "torchdx", "run", "-q", "--record", str(record), str(script)]
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            call,
            cwd=folder,
            env=variables,
            capture_output=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
        return diagnose(read(record)).findings


def try_out(fault: Fault) -> Outcome:
    """Run both programs of a pair."""
    began = time.monotonic()
    sick = findings_of(fault.sick)
    twin = findings_of(fault.twin)
    told = [f for f in sick if f.code == fault.code]
    text = told[0].line.text if told and told[0].line else ""
    return Outcome(
        fault=fault,
        codes=tuple(f.code for f in sick if f.severity != "note" or f.code == fault.code),
        first=sick[0].code if sick else "",
        line_right=bool(text) and any(line in text for line in fault.lines),
        alarms=tuple(f.code for f in twin if f.severity != "note"),
        seconds=time.monotonic() - began,
    )


def chosen(words: list[str]) -> list[Fault]:
    """The pairs that were asked for, of those whose data is here."""
    asked = [f for f in faults() if not words or f.name in words or f.code in words]
    return [fault for fault in asked if fault.runnable]


def main() -> int:
    """Print the board; 0 when every fault was named first on the right line and no twin alarmed."""
    pairs = chosen(sys.argv[1:])
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("code", "program", "found", "first", "line", "twin", "s"):
        table.add_column(column)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(try_out, pairs))
    for o in outcomes:
        first = "yes" if o.named_first else f"[red]{o.first or 'nothing'}[/]"
        found = "yes" if o.found else f"[red]no: {' '.join(o.codes) or 'nothing'}[/]"
        line = "yes" if o.line_right else "[red]no[/]"
        twin = f"[red]{' '.join(o.alarms)}[/]" if o.alarms else "silent"
        table.add_row(o.fault.code, o.fault.name, found, first, line, twin, f"{o.seconds:.0f}")
    out = Console(width=120, highlight=False)
    out.print(table)
    total = len(outcomes)
    print(
        f"{total} pairs: found {sum(o.found for o in outcomes)}, "
        f"named first {sum(o.named_first for o in outcomes)}, "
        f"line right {sum(o.line_right for o in outcomes)}, "
        f"false alarms on twins {sum(bool(o.alarms) for o in outcomes)}"
    )
    good = all(o.named_first and o.line_right and not o.alarms for o in outcomes)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
