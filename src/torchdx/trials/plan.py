"""What a trial runs, laid down before it starts: arms, seeds, steps, and when it may end early."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torchdx import __version__
from torchdx.errors import CallError
from torchdx.record.model import Record
from torchdx.rules.base import Finding, Prescription
from torchdx.treatments.base import Treatment, factor
from torchdx.trials.surroundings import SKIPPED

SEEDS = 5  # the fewest that can show an effect at 95 %: one of 32 signs is all on one side
STEPS = 300  # of a run that is too long to be repeated whole
WHOLE_S = 30.0  # seconds: a run that took less is repeated whole
EXAMINED = 16  # batches, spread over a run, whose rows the final model is asked for
STALLED = 4.0  # times the slowest arm as it is
BUDGET = 0.02  # of observing, where a record does not say
LEAST_S = 60.0  # seconds that an arm has in any case
UNTIMED = 10.0  # times the observed run, for the first arms as it is
UNTIMED_S = 300.0  # seconds that these have in any case
LOOKED_AT = 20_000  # files of the program's folder, for changes of its text

AS_IS, AGAIN, TREATED = "as it is", "as it is, again", "treated"


@dataclass(frozen=True)
class Arm:
    """One way of running the program.

    name          `as it is`, `treated`, `lr / 3`, ...
    prescriptions what is carried out in it; none: as it is
    control       whether it is generic advice that the treatment has to beat
    """

    name: str
    prescriptions: tuple[Prescription, ...] = ()
    control: bool = False


@dataclass(frozen=True)
class Plan:
    """One trial.

    code, name    of the finding; `place` and `line` as it has them
    prescription  what is tried, and the treatment that carries it out
    arms          in the order in which a seed's are run
    argv, module  how the program was started, and in which folder
    steps         optimizer steps that an arm makes at most; 0: to the program's own end
    expected      steps of the observed run, over which the examined rows are spread
    seeds         numbers added to the program's own seeds; 0: as it is written
    elapsed       seconds of the observed run, None where its end was not seen
    stamp         of the program's text and of the versions at work: runs of others are not taken
    budget        share of the program's time that observing takes, as in the observed run
    started       when the observed run did, Unix s
    """

    code: str
    name: str
    prescription: Prescription
    treatment: Treatment
    arms: tuple[Arm, ...]
    argv: tuple[str, ...]
    module: bool
    cwd: str
    steps: int
    expected: int
    seeds: tuple[int, ...]
    max_minutes: float | None = None
    memory_gb: float | None = None
    threads: int = 1
    budget: float = 0.02
    elapsed: float | None = None
    stamp: str = ""
    started: float | None = None

    def spec(self, arm: Arm, seed: int) -> dict[str, Any]:
        """All that the process of one arm is told."""
        return {
            "arm": arm.name,
            "seed": seed,
            "reseed": self.treatment.draws,
            "prescriptions": [asdict(p) for p in arm.prescriptions],
            "argv": list(self.argv),
            "module": self.module,
            "cwd": self.cwd,
            "steps": self.steps,
            "examined": self.examined,
            "budget": self.budget,
            "memory_gb": self.memory_gb,
            "threads": self.threads,
            "stamp": self.stamp,
        }

    @property
    def seconds(self) -> float:
        """That a run may take until one as it is has been timed."""
        return max(UNTIMED_S, UNTIMED * (self.elapsed or 0.0))

    @property
    def examined(self) -> list[int]:
        """Steps whose batches the final model is asked for."""
        last = min(self.steps or self.expected, self.expected) or self.steps
        return sorted({1 + (last - 1) * i // max(1, EXAMINED - 1) for i in range(EXAMINED)})

    @property
    def runs(self) -> list[tuple[Arm, int]]:
        """Every run in order: the seeds one after the other, within each the arms in turn."""
        first, *others = [(arm, seed) for seed in self.seeds for arm in self.arms]
        return [first, (Arm(AGAIN), self.seeds[0]), *others]


def key(spec: dict[str, Any]) -> str:
    """What tells runs apart that were asked for differently: a resumed trial takes no other's."""
    stated = json.dumps(spec, sort_keys=True, default=str)
    return hashlib.sha256(stated.encode()).hexdigest()[:16]


CONTROLS = {
    "lr / 3": Prescription("step_size", "divide the learning rate by 3", to="1/3"),
    "lr x 3": Prescription("step_size", "multiply the learning rate by 3", to="3"),
    "clip at 1": Prescription("clip", "clip the gradient norm at 1", to="1"),
}


def controls(prescription: Prescription, treatment: Treatment) -> tuple[Arm, ...]:
    """Generic advice with as many steps. What the treatment itself does in part is left out."""
    names = ["lr / 3", "lr x 3"]
    if treatment.kin == "step size":
        longer = factor(prescription.to, 0.1) > 1
        names = ["lr / 3" if longer else "lr x 3", "clip at 1"]
    return tuple(Arm(name, (CONTROLS[name],), control=True) for name in names)


def make(  # noqa: PLR0913  # each is an option of the command
    record: Record,
    finding: Finding,
    prescription: Prescription,
    treatment: Treatment,
    *,
    steps: int | None = None,
    seeds: int = SEEDS,
    max_minutes: float | None = None,
    memory_gb: float | None = None,
    threads: int = 1,
    budget: float | None = None,
) -> Plan:
    """The trial of one prescription on the program of a record.

    Raises:
        CallError: the program cannot be started again as it was.
    """
    argv = record.meta.get("argv")
    if not argv or record.meta.get("child"):
        msg = "this record is of a notebook or of a process that a program started; `try` re-runs "
        msg += "programs that `torchdx run` started."
        raise CallError(msg)
    if int(record.meta.get("world") or 1) > 1:
        msg = f"the run had {record.meta['world']} ranks; a trial runs one. Run it on one rank, "
        msg += "then try again."
        raise CallError(msg)
    module = bool(record.meta.get("module"))
    cwd = str(record.meta.get("cwd") or Path.cwd())
    if not module and not (Path(cwd) / argv[0]).exists():
        msg = f"the program {argv[0]} is no longer there (it was run in {cwd})."
        raise CallError(msg)
    treated = Arm(TREATED, (prescription,))
    return Plan(
        code=finding.code,
        name=finding.name,
        prescription=prescription,
        treatment=treatment,
        arms=(Arm(AS_IS), treated, *controls(prescription, treatment)),
        argv=tuple(argv),
        module=module,
        cwd=cwd,
        steps=_steps(record) if steps is None else steps,
        expected=record.steps,
        seeds=tuple(range(seeds)),
        max_minutes=max_minutes,
        memory_gb=memory_gb,
        threads=threads,
        budget=float(record.end.get("budget") or BUDGET) if budget is None else budget,
        elapsed=record.end.get("elapsed_s"),
        stamp=stamp(Path(cwd) if module else Path(cwd, argv[0]).parent),
        started=record.meta.get("started"),
    )


def stamp(folder: Path) -> str:
    """A digest of the Python files of a folder, by size and time, and of torchdx and torch."""
    found, seen = [], 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        for path in sorted(Path(place, name) for name in files if name.endswith(".py")):
            with contextlib.suppress(OSError):
                found.append((str(path), path.stat().st_size, path.stat().st_mtime_ns))
        seen += len(files)
        if seen > LOOKED_AT:
            break
    stated = repr((found, __version__, importlib.metadata.version("torch")))
    return hashlib.sha256(stated.encode()).hexdigest()[:16]


def _steps(record: Record) -> int:
    """How many steps an arm makes when the user does not say."""
    if record.end.get("elapsed_s", WHOLE_S) <= WHOLE_S:
        return 0
    return min(STEPS, record.steps) or STEPS
