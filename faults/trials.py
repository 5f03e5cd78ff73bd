"""Tries what is prescribed for every fault on its own program, and on its healthy twin.

    python faults/trials.py                      all blatant faults
    python faults/trials.py L09 digits_l1        some, by code or name
    python faults/trials.py --twins              their twins: no treatment may be proven there
    python faults/trials.py --write              docs/trials.md is written too

Runs that are done are kept in `.torchdx/faults` and not made again; `--again` makes them anew. A
fault counts as repairable when some treatment carries out what is prescribed for it.
"""

import argparse
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from faults.scoreboard import HERE, Fault, chosen, watched
from torchdx.record.reader import read
from torchdx.rules.base import Prescription
from torchdx.rules.ranking import diagnose
from torchdx.treatments.base import Treatment, all_treatments
from torchdx.trials import plan, runner
from torchdx.trials.verdict import judge

FOLDER = HERE.parent / ".torchdx" / "faults"
PAGE = HERE.parent / "docs" / "trials.md"
NOTHING = "the treatment found nothing to act on"  # then only the edit is offered
SLOWEST_S = 40.0  # of a program's run; longer ones are left out, and listed so


@dataclass(frozen=True)
class Tried:
    """How one trial ended.

    word      the verdict, or why there was no trial
    alone     what the numbers alone would claim, whether or not the finding was told
    seconds   of all its runs; `training_s` of one run as it is
    """

    code: str
    name: str
    strength: str
    change: str
    word: str
    because: str
    alone: str
    measure: str
    before: float | None
    after: float | None
    seconds: float
    training_s: float


def try_out(
    fault: Fault, known: dict[str, Treatment], *, twin: bool, asked: argparse.Namespace
) -> Tried:
    """One trial, on the sick program or on its twin."""
    record_path = FOLDER / "records" / "sick" / f"{fault.name}.dx"
    watched(fault.sick, FOLDER / "records", judge=True)
    record = read(record_path)
    finding = next((f for f in diagnose(record).findings if f.code == fault.code), None)
    if finding is None:
        return _none(fault, "not named")
    if finding.severity == "note":
        return _none(fault, "a note")
    prescription = next((p for p in finding.prescriptions if p.change in known), None)
    if prescription is None:
        return _none(fault, "no treatment")
    elapsed = float(record.end.get("elapsed_s") or 0.0)
    if elapsed > SLOWEST_S:
        return _none(fault, "too slow", elapsed)
    script = fault.twin if twin else fault.sick
    record.meta |= {"argv": [str(script)], "cwd": str(_empty()), "folder": str(script.parent)}
    planned = plan.make(
        record, finding, prescription, known[prescription.change], seeds=asked.seeds
    )
    planned = replace(planned, steps=0)
    folder = FOLDER / "trials" / script.parent.name / fault.name
    if asked.kept and not folder.exists():
        return _none(fault, "not run", elapsed)
    if asked.again:
        shutil.rmtree(folder, ignore_errors=True)
    trial = runner.run(planned, folder, jobs=asked.jobs, to_the_end=twin)
    return _tried(fault, prescription, trial, elapsed)


def _tried(fault: Fault, prescription: Prescription, trial: runner.Trial, elapsed: float) -> Tried:
    outcome, verdict = trial.outcome, trial.verdict
    if outcome is None or verdict is None:
        return _none(fault, "cannot tell", elapsed, trial.ended, prescription.change)
    told = {**outcome.fired, outcome.as_is: dict.fromkeys(outcome.fired[outcome.as_is], True)}
    alone = judge(replace(outcome, fired={**told, outcome.treated: {}}))
    values = {arm: list(outcome.values[arm].values()) for arm in (outcome.as_is, outcome.treated)}
    means = [sum(v) / len(v) if v else None for v in values.values()]
    return Tried(
        fault.code,
        fault.name,
        fault.strength,
        prescription.change,
        verdict.word,
        verdict.because or trial.ended,
        alone.word,
        outcome.measure.key,
        *means,
        sum(run.wall_s for run in trial.runs),
        elapsed,
    )


def _none(
    fault: Fault, word: str, elapsed: float = 0.0, because: str = "", change: str = ""
) -> Tried:
    known = (fault.code, fault.name, fault.strength, change, word, because, "", "")
    return Tried(*known, None, None, 0.0, elapsed)


def _empty() -> Path:
    folder = FOLDER / "empty"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _row(t: Tried) -> tuple[str, ...]:
    values = ["" if v is None else f"{v:.3g}" for v in (t.before, t.after)]
    change = f"{values[0]} -> {values[1]}" if t.measure else ""
    return (
        t.code,
        t.strength,
        t.name,
        t.change,
        t.word,
        t.because,
        t.measure,
        change,
        f"{t.seconds:.0f}",
    )


_COLUMNS = (
    "code",
    "strength",
    "program",
    "treatment",
    "verdict",
    "because",
    "measure",
    "mean",
    "s",
)


def _summary(tried: list[Tried], *, twins: bool) -> list[str]:
    ran = [t for t in tried if t.change and not t.because.startswith(NOTHING)]
    words = {word: sum(t.word == word for t in ran) for word in dict.fromkeys(t.word for t in ran)}
    said = ", ".join(f"{n} {word}" for word, n in sorted(words.items(), key=lambda w: -w[1]))
    lines = [f"{len(ran)} trials of {len(tried)} programs: {said}"]
    if twins:
        wins = sum(t.word in {"cured", "helped"} for t in ran)
        alone = sum(t.alone == "cured" for t in ran)
        lines.append(f"false proofs: {wins} of {len(ran)}; by the numbers alone {alone}")
    elif ran:
        cost = sorted(t.seconds / t.training_s for t in ran if t.training_s)
        lines.append(f"cured: {words.get('cured', 0) / len(ran):.0%} of the repairable")
        lines.append(f"seconds of trial per second of the observed run: {cost[len(cost) // 2]:.0f}")
    return lines


def main() -> int:
    """Run the trials and print the board."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="codes or names; all blatant ones by default")
    parser.add_argument("--twins", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--kept", action="store_true", help="begin no trial that was not begun")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    known = all_treatments()
    out = Console(width=170, highlight=False)
    tried = []
    for fault in chosen(asked.words):
        if fault.strength == "blatant" or fault.name in asked.words:
            began = time.monotonic()
            tried.append(try_out(fault, known, twin=asked.twins, asked=asked))
            out.print(
                "  ".join(_row(tried[-1])), f"({time.monotonic() - began:.0f} s)", soft_wrap=True
            )
    table = Table(*_COLUMNS, box=None, padding=(0, 2, 0, 0))
    for each in tried:
        table.add_row(*_row(each))
    out.print(table)
    for line in _summary(tried, twins=asked.twins):
        out.print(line)
    kept = FOLDER / ("twins.json" if asked.twins else "sick.json")
    if not asked.words:
        kept.write_text(json.dumps([asdict(t) for t in tried]))
    if asked.write:
        PAGE.write_text(_page())
    return 0


def _page() -> str:
    lines = [
        "# Trials",
        "",
        "Made by `make trials`: what is prescribed for each blatant fault, tried on",
    ]
    lines += [
        "its own program, and on its healthy twin. Programs and rules are by the same people.",
        "",
    ]
    for name, title, twins in (("sick", "Sick programs", False), ("twins", "Healthy twins", True)):
        kept = FOLDER / f"{name}.json"
        if not kept.exists():
            continue
        tried = [Tried(**entry) for entry in json.loads(kept.read_text())]
        lines += [f"## {title}", "", *(f"- {line}" for line in _summary(tried, twins=twins)), ""]
        lines += ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
        shown = [t for t in tried if t.word != "not run"]
        lines += ["| " + " | ".join(_row(t)) + " |" for t in shown] + [""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
