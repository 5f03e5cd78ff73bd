"""The check that is not ours: DeepCrime's mutation operators on five programs of their own.

    python faults/deepcrime.py                     all mutants (a quarter of an hour on two cores)
    python faults/deepcrime.py digits_mlp HLR      some, by program or operator
    python faults/deepcrime.py --list              which mutants there are, nothing is run
    python faults/deepcrime.py --jobs 2 --keep D   mutants, metrics and records are kept in D; a
                                                   second run with D only judges the records again

The sick programs of `faults/sick` were written by the people who wrote the rules. The operators
here were not chosen by them (Humbatova, Jahangirova and Tonella 2021, from real faults), and no
rule was made for these programs. Many mutants do no harm, and silence is right for these. So each
mutant runs with three seeds, and counts as *killed* when it hurts: all its seeds end below the
worst seed of the original, and their mean is lower by more than the original's range. The metric
is accuracy, or R2, on a test part that no operator touches. Each runs once more under `torchdx
run`. What was *found* are faults and suspicions; *right* are the codes that `mutation.py` gives.
"""

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
INTRODUCTION = """# DeepCrime's operators

Made by `python faults/deepcrime.py --write`. Edits that real faults gave rise to (Humbatova,
Jahangirova and Tonella 2021), on five programs that no rule was made for. *killed*: all three
seeds end below the worst of the original; *right*: the codes that would be the cause, `yes` where
one of them was told. Most that is missed leaves a net that learns, and learns less: rows left
out, too few epochs, noise in labels, another loss.
"""
PAGE = HERE.parent / "docs" / "deepcrime.md"
sys.path[:0] = [str(HERE.parent)]  # the package `faults`, from wherever this is started

from faults.mutation import MUTATIONS, Mutation, mutants_of  # noqa: E402
from faults.scoreboard import FASHION, watched  # noqa: E402
from torchdx.rules.base import Finding  # noqa: E402

BASES = HERE / "deepcrime"
SEEDS = (0, 1, 2)
SEED_LINE = "SEED = 0\n"
LOST = -math.inf  # the metric of a run that failed or ended in NaN


@dataclass(frozen=True)
class Program:
    """A base program, or one of its mutants, as a file."""

    base: str
    path: Path
    mutation: Mutation | None = None


@dataclass(frozen=True)
class Trial:
    """How a program fared: its metric with each seed, and what torchdx found in it."""

    program: Program
    metrics: tuple[float, ...]
    findings: tuple[Finding, ...]
    recorded: bool

    @property
    def codes(self) -> tuple[str, ...]:
        """Faults and suspicions, in the order in which they are told."""
        return tuple(f.code for f in self.findings if f.severity != "note")

    @property
    def mean(self) -> float:
        """Mean of the metric over the seeds."""
        return sum(self.metrics) / len(self.metrics)

    @property
    def right(self) -> bool:
        """Whether a right code is among those found."""
        mutation = self.program.mutation
        return mutation is not None and bool(mutation.right & set(self.codes))

    def hurts(self, original: "Trial") -> bool:
        """Whether the mutant is worse than its original by more than the spread over seeds."""
        spread = max(original.metrics) - min(original.metrics)
        apart = max(self.metrics) < min(original.metrics)
        return apart and original.mean - self.mean > spread


def bases() -> list[Path]:
    """The base programs whose data is on this machine."""
    listed = sorted(BASES.glob("*.py"))
    return [p for p in listed if FASHION.exists() or not p.stem.startswith("fashion")]


def programs(folder: Path, words: Sequence[str]) -> list[Program]:
    """Write the originals and the mutants that were asked for into a folder."""
    asked_bases = [b for b in bases() if b.stem in words] or bases()
    operators = {m.code for m in MUTATIONS} & set(words)
    listed = []
    for base in asked_bases:
        source = base.read_text()
        listed.append(_written(folder, base.stem, source, None))
        for mutation, text in mutants_of(source):
            if not operators or mutation.code in operators:
                listed.append(_written(folder, base.stem, text, mutation))
    return listed


def _written(folder: Path, base: str, source: str, mutation: Mutation | None) -> Program:
    name = base if mutation is None else f"{base}__{mutation.label.replace('.', '_')}"
    path = folder / "mutants" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return Program(base, path, mutation)


def measured(scripts: Sequence[Path], jobs: int) -> dict[Path, tuple[float, ...]]:
    """The last number that each program prints, with each seed (higher is better).

    Each program has a fresh process, forked from one that has imported torch already.
    """
    kept = {s: s.parent.parent / "metrics" / f"{s.stem}.json" for s in scripts}
    missing = [script for script, file in kept.items() if not file.exists()]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "sklearn.datasets"])
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        running = {pool.submit(measure, script): kept[script] for script in missing}
        for run in as_completed(running):
            running[run].parent.mkdir(exist_ok=True)
            running[run].write_text(json.dumps(run.result()))
    return {script: tuple(json.loads(file.read_text())) for script, file in kept.items()}


def measure(script: Path) -> list[float]:
    """Run a program with each seed in this process."""
    source = script.read_text()
    if source.count(SEED_LINE) != 1:
        message = f"{script} has no line {SEED_LINE!r}"
        raise ValueError(message)
    return [_metric(source.replace(SEED_LINE, f"SEED = {seed}\n"), script) for seed in SEEDS]


def _metric(source: str, script: Path) -> float:
    printed = io.StringIO()
    names = {"__name__": "__main__", "__file__": str(script)}
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(source, str(script), "exec"), names)  # noqa: S102
    except Exception:  # noqa: BLE001 - a mutant may fail in any way
        return LOST
    value = float(printed.getvalue().split()[-1])
    return LOST if math.isnan(value) else value


def try_out(program: Program, metrics: tuple[float, ...]) -> Trial:
    """Watch a program whose metrics are known."""
    records = program.path.parent.parent / "records"
    seen = watched(program.path, records, judge=True)
    recorded = (records / "mutants" / f"{program.path.stem}.dx").exists()
    return Trial(program, metrics, seen.findings, recorded)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("words", nargs="*", help="programs or operators; all when none is given")
    parser.add_argument("--list", action="store_true", help="say which mutants there are")
    parser.add_argument("--write", action="store_true", help="write docs/deepcrime.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="keep everything here, and use what is there")
    return parser.parse_args()


def main() -> None:
    """Make the mutants, run them, print the table and the counts."""
    asked = _arguments()
    out = Console(width=130, highlight=False, record=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.keep or Path(temporary)).resolve()
        listed = programs(folder, asked.words)
        if asked.list:
            _print_list(out, listed)
            return
        os.environ["OMP_NUM_THREADS"] = "1"
        metrics = measured([p.path for p in listed], asked.jobs)
        with ThreadPoolExecutor(asked.jobs) as pool:
            trials = list(pool.map(try_out, listed, [metrics[p.path] for p in listed]))
    _print_table(out, trials)
    for line in counts(trials):
        out.print(line)
    if asked.write:
        PAGE.write_text(page(out.export_text()))


def page(printed: str) -> str:
    """What was printed as a page, less the spaces behind lines."""
    lines = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return f"{INTRODUCTION}\n```\n{lines}\n```\n"


def counts(trials: Sequence[Trial]) -> list[str]:
    """How many mutants were killed, and what was found in those and in the others."""
    originals = {t.program.base: t for t in trials if t.program.mutation is None}
    mutants = [t for t in trials if t.program.mutation is not None]
    killed = [t for t in mutants if t.hurts(originals[t.program.base])]
    harmless = [t for t in mutants if t not in killed]
    seen = [t for t in killed if t.program.mutation and t.program.mutation.right]
    alarms = [f"{base} {' '.join(t.codes)}" for base, t in originals.items() if t.codes]
    found = _share(killed, lambda t: bool(t.codes))
    right, first = _share(killed, lambda t: t.right), _share(killed, _right_first)
    named = _share(seen, lambda t: t.right)
    others = _share(harmless, lambda t: bool(t.codes))
    others_right = _share(harmless, lambda t: t.right)
    return [
        f"originals with an alarm: {', '.join(alarms) or 'none'} (of {len(originals)})",
        f"mutants {len(mutants)}, killed {len(killed)}",
        f"of the killed: {found} got a finding, {right} a right code, {first} told it first",
        f"of the killed for which there is a right code: {named} got it",
        f"of the others: {others} got a finding, {others_right} a right code",
        f"runs that left no record: {sum(not t.recorded for t in trials)}",
    ]


def _right_first(trial: Trial) -> bool:
    mutation = trial.program.mutation
    return mutation is not None and bool(mutation.right & set(trial.codes[:1]))


def _share(trials: Sequence[Trial], holds: Callable[[Trial], bool]) -> str:
    return f"{sum(holds(t) for t in trials)} of {len(trials)}"


def _print_table(out: Console, trials: Sequence[Trial]) -> None:
    originals = {t.program.base: t for t in trials if t.program.mutation is None}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("operator", "level", "program", "metric", "killed", "first", "all", "right"):
        table.add_column(column)
    for trial in sorted(trials, key=_by_operator):
        original, mutation = originals[trial.program.base], trial.program.mutation
        first, others = " ".join(trial.codes[:1]), " ".join(trial.codes[1:])
        if mutation is None:
            row = ("", "", trial.program.base, _number(trial.mean), "", first, others, "")
        else:
            metric = f"{_number(original.mean)} -> {_number(trial.mean)}"
            hurts = "killed" if trial.hurts(original) else ""
            right = "yes" if trial.right else " ".join(sorted(mutation.right)) or "-"
            place = (mutation.code, mutation.level, trial.program.base)
            row = (*place, metric, hurts, first, others, right)
        table.add_row(*row)
    out.print(table)


def _by_operator(trial: Trial) -> tuple[str, str, str]:
    mutation = trial.program.mutation
    return (
        ("", "", trial.program.base) if mutation is None else (*_key(mutation), trial.program.base)
    )


def _key(mutation: Mutation) -> tuple[str, str]:
    return mutation.code, mutation.level


def _number(metric: float) -> str:
    return "failed" if metric == LOST else f"{metric:.3f}"


def _print_list(out: Console, listed: Sequence[Program]) -> None:
    for program in listed:
        if program.mutation is not None:
            m = program.mutation
            right = " ".join(sorted(m.right)) or "nothing"
            out.print(f"{program.base:20} {m.code} {m.name}, {m.level}: {right}")
    out.print(f"{sum(p.mutation is not None for p in listed)} mutants of {len(bases())} programs")


if __name__ == "__main__":
    main()
