"""Curvature in a run that is over: the program is run again up to a step, and asked there."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchdx.boot.nursery import Birth, Nursery, kill
from torchdx.errors import CallError
from torchdx.record.model import Record
from torchdx.trials.surroundings import OFFLINE, show

LEAST_S, TIMES = 300.0, 10.0  # seconds that it may take in any case; times the observed run
TAIL = 600  # characters of the program's last words


@dataclass(frozen=True)
class Visit:
    """What is to be asked, and where.

    argv, module, cwd   how the program was started
    step        optimizer step, from 1; checkpoint: a file of weights, or empty
    top         eigenvalues that are told
    elapsed     seconds of the observed run
    """

    argv: tuple[str, ...]
    module: bool
    cwd: str
    step: int
    checkpoint: str
    top: int
    threads: int
    elapsed: float = 0.0

    @property
    def name(self) -> str:
        """The program, as a person calls it."""
        return Path(self.argv[0]).name


def plan(record: Record, *, step: int, checkpoint: Path | None, top: int, threads: int) -> Visit:
    """How to come back to a run.

    Raises:
        CallError: its program cannot be started again, or there is no such file.
    """
    argv = record.meta.get("argv")
    if not argv or record.meta.get("child"):
        msg = "this record is of a notebook or of a process that a program started; there is no "
        msg += "script to run again. In your own code: dx.curvature(model, loss_fn, batch)."
        raise CallError(msg)
    if int(record.meta.get("world") or 1) > 1:
        msg = (
            f"the run had {record.meta['world']} ranks; it can be run again on one alone. In your "
        )
        msg += "own code, on all ranks: dx.curvature(model, loss_fn, batch)."
        raise CallError(msg)
    cwd, module = str(record.meta.get("cwd") or Path.cwd()), bool(record.meta.get("module"))
    if not module and not (Path(cwd) / argv[0]).exists():
        msg = f"the program {argv[0]} is no longer there (it was run in {cwd})."
        raise CallError(msg)
    if checkpoint is not None and not checkpoint.is_file():
        msg = f"there is no file {checkpoint}. Give one that the program saved: --checkpoint FILE."
        raise CallError(msg)
    given = "" if checkpoint is None else str(checkpoint.resolve())
    elapsed = float(record.end.get("elapsed_s") or 0.0)
    return Visit(tuple(argv), module, cwd, step, given, top, threads, elapsed)


def changed(record: Record) -> Iterator[str]:
    """Lines of the program that are others now than when it was recorded: `train.py:12`."""
    now: dict[str, list[str]] = {}
    for line in record.lines.values():
        path = Path(line.file)
        if line.file not in now:
            try:
                now[line.file] = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                now[line.file] = []
        there = now[line.file]
        text = there[line.number - 1].strip() if 0 < line.number <= len(there) else ""
        if there and line.text and text != line.text.strip():
            yield f"{path.name}:{line.number}"


def visit(asked: Visit) -> dict[str, Any]:
    """Run the program up to the step; what was found there, as `torchdx.trials.revisiting` has it.

    Raises:
        CallError: the step was not reached, or nothing can be asked there.
    """
    with tempfile.TemporaryDirectory(prefix="dx-") as folder:
        home = Path(folder)
        scratch, own = home / "scratch", home / "tmp"
        own.mkdir()
        show(Path(asked.cwd), scratch)
        files = {"scratch": scratch, "record": home / "run.dx", "result": home / "result.json"}
        spec = home / "spec.json"
        spec.write_text(json.dumps({**asked.__dict__, **{k: str(v) for k, v in files.items()}}))
        try:
            _run(asked, spec, home, str(own))
            result = _result(files["result"], home)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if "error" in result:
        raise CallError(result["error"])
    if "answers" not in result:
        raise CallError(_never(asked, result))
    return result


def _run(asked: Visit, spec: Path, home: Path, own: str) -> None:
    """Start the process and wait for its end.

    Raises:
        CallError: it took too long.
    """
    out, err = str(home / "out.txt"), str(home / "err.txt")
    birth = Birth("torchdx.trials.revisiting:main", str(spec), asked.cwd, out, err, {"TMPDIR": own})
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(asked.threads))
    limit = max(LEAST_S, TIMES * asked.elapsed)
    with Nursery.lent({**OFFLINE, **threads}, ("torchdx.trials.ready",)) as nursery:
        pid = nursery.begin(birth)
        try:
            nursery.wait(limit)
        except TimeoutError:
            kill(pid)
            nursery.wait(None)
            msg = f"{asked.name} did not reach step {asked.step} within {limit:.0f} s."
            raise CallError(msg) from None
        finally:
            kill(pid)  # what it has started: a loader's workers


def _result(place: Path, home: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(place.read_text())
    except (OSError, ValueError):
        said = (home / "err.txt").read_text(errors="replace")[-TAIL:].strip()
        last = said.splitlines()[-1] if said else "its process ended without a result"
        return {"error": f"the program ended before it could be asked: {last}"}
    return found


def _never(asked: Visit, result: dict[str, Any]) -> str:
    made = result.get("made", 0)
    how = f"failed ({result['raised']})" if result.get("raised") else "ended"
    if not made:
        return f"{asked.name}, run again, {how} before its first optimizer step."
    steps = f"{made} optimizer step{'s' * (made != 1)}"
    last = f": --step {made} is its last" if made < asked.step else ""
    return f"{asked.name}, run again, {how} after {steps}; step {asked.step} did not come{last}."
