"""A trial in the terminal: what will be run, how far it is, and what it has shown."""

from collections.abc import Sequence
from statistics import fmean
from typing import Self

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Bar
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from torchdx.rules.base import Finding
from torchdx.trials.edits import Edit
from torchdx.trials.plan import AGAIN, AS_IS, TREATED, Plan
from torchdx.trials.runner import Run, Trial
from torchdx.trials.verdict import Compared, Verdict

COLOURS = {"cured": "green", "helped": "green", "no effect": "yellow", "worse": "red",
           "cannot tell": "yellow"}  # fmt: skip


def announced(plan: Plan, out: Console) -> None:
    """What is tried on what, and by which rule it ends."""
    out.print(
        Bar(
            Text.assemble(("torchdx try ", "bold magenta"), f"{plan.code} {plan.name}"),
            style="magenta",
            align="left",
        )
    )
    steps = f"{plan.steps} steps" if plan.steps else "the whole run"
    table = _facts()
    table.add_row("treatment", plan.prescription.text)
    table.add_row("arms", ", ".join(arm.name for arm in plan.arms) + "; as it is once more (A/A)")
    table.add_row("ends", f"after {len(plan.seeds)} seeds, {steps} each{_or(plan)}")
    out.print(table)


def _or(plan: Plan) -> str:
    limit = f", or after {plan.max_minutes:g} minutes" if plan.max_minutes else ""
    return f"{limit}; sooner when nothing but `cannot tell` is left"


def not_tried(finding: Finding, edit: Edit | str, out: Console) -> None:
    """A finding whose cure cannot be carried out from outside."""
    out.print(Text.assemble(("  dx  ", "bold magenta"), (f"{finding.code} {finding.name}", "bold")))
    out.print("  not tried: this change cannot be made from outside of the script", style="dim")
    _edit(edit, out)


class Progress:
    """A line that says how far a trial is; lines behind one another where there is no terminal."""

    def __init__(self, out: Console, runs: int, jobs: int) -> None:
        self._out, self._runs, self._jobs = out, runs, jobs
        self._status = out.status(f"  0 of {runs} runs") if out.is_terminal else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._status is not None:
            self._status.stop()

    def told(self, trial: Trial, run: Run, left: int) -> None:
        """One run is done."""
        done = len(trial.runs)
        measure = trial.measure
        value = run.scores.get(measure.key) if measure is not None else None
        number = "" if value is None else f"  {value:.4g}"
        said = f"{run.arm}, seed {run.seed}{number}{'  ' + run.error if run.error else ''}"
        far = f"{done} of {done + left} runs, {time_left(trial, left, self._jobs)}"
        if self._status is None:
            self._out.print(f"  {far}: {said}", soft_wrap=True)
        else:
            self._status.update(f"  {far}: {said}")


def time_left(trial: Trial, runs: int, jobs: int) -> str:
    """How long the runs that are left will take, by those that are done."""
    if not trial.runs:
        return ""
    seconds = fmean(run.wall_s for run in trial.runs) * runs / max(1, jobs)
    return f"{seconds / 60:.0f} min left" if seconds > 90 else f"{seconds:.0f} s left"  # noqa: PLR2004


def shown(trial: Trial, edit: Edit | str, out: Console) -> None:
    """The table of a trial, its verdict, and the edit or why there is none."""
    out.print()
    if trial.measure is not None:
        out.print(_table(trial))
    verdict = trial.verdict
    if verdict is not None:
        out.print(_effect(trial, verdict))
    word, because = ("cannot tell", trial.ended) if verdict is None else _said(trial, verdict)
    said = Text.assemble("  verdict: ", (word, f"bold {COLOURS[word]}"))
    out.print(said + Text(f"  ({because})" if because else "", style="dim"))
    out.print(_small(trial))
    _edit(edit, out)


def _said(trial: Trial, verdict: Verdict) -> tuple[str, str]:
    parts = [verdict.because] if verdict.because else []
    if trial.ended and trial.ended not in parts:
        parts.append(trial.ended)
    return verdict.word, "; ".join(parts)


def _table(trial: Trial) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    words = "" if trial.measure is None else trial.measure.words
    table.add_column("arm")
    table.add_column(words, justify="right")
    table.add_column("from .. to", justify="right", style="dim")
    table.add_column("accuracy", justify="right")
    table.add_column(f"{trial.plan.code} told", justify="right")
    table.add_column("seconds", justify="right", style="dim")
    for name in (AS_IS, TREATED, *(a.name for a in trial.plan.arms if a.control)):
        table.add_row(*_row(trial, name), style="bold" if name == TREATED else "")
    return table


def _row(trial: Trial, name: str) -> Sequence[str]:
    runs = [r for r in trial.runs if r.arm == name]
    values = list(trial.values(name).values())
    right = [a for r in runs if (a := _accuracy(r)) is not None]
    told = sum(trial.plan.code in r.codes for r in runs)
    lost = [r for r in runs if r.error]
    seconds = f"{fmean(r.wall_s for r in runs):.1f}" if runs else "-"
    return (
        name + (f" ({len(lost)} failed)" if lost else ""),
        f"{fmean(values):.4g}" if values else "-",
        f"{min(values):.3g} .. {max(values):.3g}" if len(values) > 1 else "",
        f"{fmean(right):.1%}" if right else "",
        f"{told} of {len(runs)}" if runs else "-",
        seconds,
    )


def _accuracy(run: Run) -> float | None:
    return run.scores.get("validation.accuracy", run.scores.get("rows.accuracy"))


def _effect(trial: Trial, verdict: Verdict) -> RenderableType:
    table = _facts()
    effect = verdict.effect
    table.add_row("better by", _gain(effect))
    for rival in verdict.rivals:
        table.add_row(f"than {rival.against}", _gain(rival))
    table.add_row("A/A noise", _noise(trial))
    return table


def _gain(compared: Compared) -> str:
    gain = compared.gain
    if gain.seeds == 0:
        return "not known"
    if gain.seeds == 1:
        return f"{gain.mean:.3g}, of one seed"
    return f"{gain.mean:.3g}  ({gain.level:.0%} interval {gain.low:.3g} .. {gain.high:.3g})"


def _noise(trial: Trial) -> str:
    if trial.repeats is None:
        return "not run"
    if trial.repeats:
        return "0: the same seed gives the same losses, to the last bit"
    pairs = sum(r.arm == AGAIN for r in trial.runs)
    return f"{trial.noise:.3g}, the largest of {pairs} pairs: the program does not repeat itself"


def _small(trial: Trial) -> RenderableType:
    table = _facts()
    wall = sum(r.wall_s for r in trial.runs)
    steps = max((r.steps for r in trial.runs if r.arm == AS_IS), default=0)
    rows = next((r.scores.get("rows.rows") for r in trial.runs if "rows.rows" in r.scores), None)
    asked = f", {rows:.0f} rows asked" if rows else ""
    table.add_row("cost", f"{len(trial.runs)} runs of {steps} steps, {wall:.0f} s of runs{asked}")
    for error in sorted({f"{r.arm}: {r.error}" for r in trial.runs if r.error})[:3]:
        table.add_row("failed", error)
    elsewhere = sorted({path for r in trial.runs for path in r.elsewhere})
    if elsewhere:
        more = f" and {len(elsewhere) - 3} more" if len(elsewhere) > 3 else ""  # noqa: PLR2004
        table.add_row("kept away", f"writes to {', '.join(elsewhere[:3])}{more}")
    return table


def _edit(edit: Edit | str, out: Console) -> None:
    if isinstance(edit, str):
        out.print(Text.assemble(("  the edit: ", "dim"), edit))
        return
    out.print(Text.assemble(("  the edit: ", "dim"), edit.words))
    out.print(Padding(Syntax(edit.diff, "diff", background_color="default"), (0, 2)))


def _facts() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
