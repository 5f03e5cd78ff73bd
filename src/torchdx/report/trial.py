"""A trial in the terminal: what will be run, how far it is, and what it has shown."""

import re
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Self

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Bar
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from torchdx.rules.base import Finding, find_rule
from torchdx.trials.edits import Edit
from torchdx.trials.measures import Measure
from torchdx.trials.plan import AGAIN, AS_IS, LEAST_S, STALLED, TREATED, Plan
from torchdx.trials.runner import Run, Trial
from torchdx.trials.verdict import Compared, Verdict, too_few

COLOURS = {"cured": "green", "helped": "green", "no effect": "yellow", "worse": "red",
           "cannot tell": "yellow"}  # fmt: skip
MARKS = {"cured": "✓", "helped": "+", "no effect": "=", "worse": "✗", "cannot tell": "?"}
START_S = 2.0  # of a process, besides its program
NARROW = 80  # columns, below which a table leaves out what is least
LONG_S = 90  # from where on minutes are told


def announced(plan: Plan, jobs: int, out: Console) -> None:
    """What is tried on what, and by which rule it ends."""
    title = Text.assemble(("torchdx try ", "bold magenta"), f"{plan.code} {plan.name}")
    facts = _facts()
    facts.add_row("treatment", plan.prescription.text)
    facts.add_row("runs", _runs(plan, jobs))
    facts.add_row("ends", _ends(plan))
    if because := too_few(len(plan.seeds)):
        facts.add_row("verdict", Text(f"`cannot tell`, whatever is seen: {because}", "yellow"))
    _print(out, Bar(title, style="magenta", align="left"), facts)


def _runs(plan: Plan, jobs: int) -> str:
    arms = ", ".join(arm.name for arm in plan.arms)
    steps = f"{plan.steps} steps" if plan.steps else "to their end"
    count = len(plan.runs)
    about = ""
    if plan.elapsed is not None and not plan.steps:
        about = f", about {_time((plan.elapsed + START_S) * count / max(1, jobs))}"
    seeds = f"{len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}"
    return f"{arms}; {seeds} each, the first as it is twice: {count} runs, {steps}{about}"


def _ends(plan: Plan) -> str:
    minutes = plan.max_minutes
    limit = f", or begins after {minutes:g} minute{'s' * (minutes != 1)}" if minutes else ""
    slow = f"{STALLED:g} times the slowest as it is (at least {LEAST_S:g} s)"
    return f"early where only `cannot tell` is left; no run takes longer than {slow}{limit}"


def not_tried(finding: Finding, edit: Edit | str, out: Console) -> None:
    """A finding whose cure cannot be carried out from outside."""
    head = Text.assemble(("  - not tried  ", "bold yellow"), f"{finding.code} {finding.name}: ")
    head.append("this change cannot be made from outside of the script", style="dim")
    _print(out, head, *_edit(edit, _facts()), "")


def went_with(finding: Finding, cause: str, out: Console) -> None:
    """A finding that was told of no run in which its cause was treated."""
    said = f"gone where {cause} is treated; not tried by itself"
    _print(out, Text.assemble(("  ✓ ", "bold green"), f"{finding.code} {finding.name}: {said}"), "")


class Progress:
    """A line that says how far a trial is; lines behind one another where there is no terminal."""

    def __init__(self, out: Console, runs: int, jobs: int) -> None:
        self._out, self._runs, self._jobs = out, runs, jobs
        self._status = out.status(self._line(f"0 of {runs} runs")) if out.is_terminal else None

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
        value = None if trial.measure is None else run.scores.get(trial.measure.key)
        parts = [f"{done} of {done + left} runs", time_left(trial, left, self._jobs)]
        parts.append(f"{run.arm}, seed {run.seed}" + ("" if value is None else f": {value:.4g}"))
        parts += ["kept from before"] if run.kept else []
        parts += [run.error] if run.error else []
        line = self._line(" · ".join(part for part in parts if part))
        if self._status is None:
            self._out.print(line, soft_wrap=True)
        else:
            self._status.update(line)

    @staticmethod
    def _line(text: str) -> Text:
        return Text(f"  {text}", no_wrap=True, overflow="ellipsis", style="dim")


def time_left(trial: Trial, runs: int, jobs: int) -> str:
    """How long the runs that are left will take, by those that are done."""
    if not trial.runs or not runs:
        return ""
    return f"{_time(fmean(run.wall_s for run in trial.runs) * runs / max(1, jobs))} left"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > LONG_S else f"{max(1, round(seconds))} s"


def shown(trial: Trial, edit: Edit | str, out: Console) -> None:
    """The verdict of a trial, the table behind it, and the edit or why there is none."""
    _print(out, "", *_shown(trial, edit, out.width), "")


def _shown(trial: Trial, edit: Edit | str, width: int) -> Iterator[RenderableType]:
    verdict = trial.verdict
    yield Padding(_said(trial, verdict), (0, 2))
    if trial.measure is not None:
        yield ""
        yield _table(trial, trial.measure, narrow=width < NARROW)
    yield ""
    facts = _behind(trial, verdict)
    yield from _edit(edit, facts)


def _said(trial: Trial, verdict: Verdict | None) -> Text:
    """One word, the change of the measure, and what stands against a better word."""
    word = "cannot tell" if verdict is None else verdict.word
    said = Text(f"{MARKS[word]} {word}", style=f"bold {COLOURS[word]}")
    before, after = (list(trial.values(arm).values()) for arm in (AS_IS, TREATED))
    if before and after and trial.measure is not None:
        said.append(f"  {_number(fmean(before))} → {_number(fmean(after))}", style="default bold")
        said.append(f" {trial.measure.words}", style="default not bold")
    if trial.because:
        said.append(f"\n{trial.because}", style="default not bold")
    return said


def _number(value: float) -> str:
    return f"{value:.4g}"


def _table(trial: Trial, measure: Measure, *, narrow: bool) -> RenderableType:
    accurate = not measure.key.endswith("accuracy") and any(
        _right(run) is not None for run in trial.runs
    )
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    table.add_column("arm", no_wrap=True)
    table.add_column(measure.key.partition(".")[2], justify="right")
    if not narrow:
        table.add_column("from .. to", justify="right", style="dim")
    if accurate:
        table.add_column("accuracy", justify="right")
    table.add_column(f"{trial.plan.code} told", justify="right")
    if not narrow:
        table.add_column("s a run", justify="right", style="dim")
    for name in (AS_IS, TREATED, *(a.name for a in trial.plan.arms if a.control)):
        cells = _cells(trial, name)
        kept = [c for i, c in enumerate(cells) if not (narrow and i in {2, 5})]
        kept = kept if accurate else [c for c in kept if c is not cells[3]]
        table.add_row(*kept, style="bold" if name == TREATED else "")
    return table


def _cells(trial: Trial, name: str) -> Sequence[Text]:
    runs = [r for r in trial.runs if r.arm == name]
    values = list(trial.values(name).values())
    right = [a for r in runs if (a := _right(r)) is not None]
    told = sum(trial.plan.code in r.codes for r in runs)
    lost = sum(bool(r.error) for r in runs)
    return [
        Text(name + (f" ({lost} failed)" if lost else "")),
        Text(_number(fmean(values)) if values else "-"),
        Text(f"{min(values):.3g} .. {max(values):.3g}" if len(values) > 1 else ""),
        Text(f"{fmean(right):.1%}" if right else ""),
        Text(f"{told} of {len(runs)}" if runs else "-"),
        Text(f"{fmean(r.wall_s for r in runs):.1f}" if runs else "-"),
    ]


def _right(run: Run) -> float | None:
    return run.scores.get("validation.accuracy", run.scores.get("rows.accuracy"))


def _behind(trial: Trial, verdict: Verdict | None) -> Table:
    """The comparisons, the noise, the cost, and what else was seen."""
    table = _facts()
    if verdict is not None and verdict.effect.gain.seeds:
        table.add_row("better by", _gain(verdict.effect))
        for rival in verdict.rivals:
            table.add_row(f"than {rival.against}", _gain(rival))
    table.add_row("A/A noise", _noise(trial))
    table.add_row("cost", _cost(trial))
    for words, codes in (("went too", trial.went), ("came up", trial.came)):
        if codes:
            table.add_row(words, ", ".join(f"{code} {find_rule(code).name}" for code in codes))
    for error in sorted({f"{r.arm}: {r.error}" for r in trial.runs if r.error})[:3]:
        table.add_row("failed", error)
    elsewhere = sorted({path for r in trial.runs for path in r.elsewhere})
    if elsewhere:
        more = f" and {len(elsewhere) - 3} more" if len(elsewhere) > 3 else ""  # noqa: PLR2004
        table.add_row("kept away", f"writes to {', '.join(elsewhere[:3])}{more}")
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
        return "not known"
    if trial.repeats and not trial.noise:
        return "0: the same seed gives the same losses, to the last bit"
    pairs = sum(r.arm == AGAIN for r in trial.runs)
    of = f"the largest of {pairs} pairs" if pairs > 1 else "of one pair"
    other = "" if trial.repeats else ": the program does not repeat itself"
    return f"{trial.noise:.3g}, {of}{other}"


def _cost(trial: Trial) -> str:
    now = [r for r in trial.runs if not r.kept]
    steps = max((r.steps for r in trial.runs if r.arm == AS_IS), default=0)
    rows = next((r.scores.get("rows.rows") for r in trial.runs if "rows.rows" in r.scores), None)
    said = f"{len(trial.runs)} runs of {steps} steps, {_time(sum(r.wall_s for r in now))}"
    said += f", {len(trial.runs) - len(now)} kept from before" if len(now) < len(trial.runs) else ""
    return said + (f"; {rows:.0f} rows asked" if rows else "")


def _edit(edit: Edit | str, facts: Table) -> Iterator[RenderableType]:
    """One row more of a table of facts, and the diff below it."""
    facts.add_row("edit", edit if isinstance(edit, str) else edit.words)
    yield facts
    if isinstance(edit, Edit):
        diff = Syntax(edit.diff.rstrip(), "diff", background_color="default", word_wrap=True)
        yield Padding(diff, (0, 2, 0, 4))


def _facts() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _print(out: Console, *parts: RenderableType) -> None:
    """Print, less the spaces that stand behind lines."""
    with out.capture() as captured:
        for part in parts:
            out.print(part)
    text = re.sub(r"[ \t]+(\x1b\[0m)?$", r"\1", captured.get(), flags=re.MULTILINE)
    out.file.write(text)
    out.file.flush()
