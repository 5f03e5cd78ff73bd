"""`torchdx try`: what a finding prescribes is tried on the user's own program."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torchdx.cli.run import share
from torchdx.errors import CallError
from torchdx.record.index import find
from torchdx.record.reader import read
from torchdx.rules.base import Finding, Prescription
from torchdx.rules.ranking import Diagnosis, diagnose

if TYPE_CHECKING:
    from torchdx.trials.edits import Edit
    from torchdx.trials.runner import Trial

GB_EACH = 4.0  # of memory, for each of several runs at once


@click.command("try")
@click.argument("code", required=False)
@click.option("--run", "run_name", help="The run: its name or record; the last one by default.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimizer steps of every run.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--max-minutes", type=click.FloatRange(min=0, min_open=True), help="No run begins after these."
)
@click.option("--memory", type=float, metavar="GB", help="That a run may allocate at most.")
@click.option(
    "--budget",
    callback=lambda _context, _option, text: None if text is None else share(text),
    help="Share of a run's time that measuring may take; that of the observed run by default.",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Runs at once.")
@click.option("--keep", is_flag=True, help="Keep the records, and the folders that runs wrote to.")
@click.option("--patch", is_flag=True, help="Print the edit as a diff; run nothing.")
def command(  # each is an option
    code: str | None,
    *,
    run_name: str | None,
    steps: int | None,
    seeds: int,
    max_minutes: float | None,
    memory: float | None,
    budget: float | None,
    jobs: int | None,
    keep: bool,
    patch: bool,
) -> int:
    """Try what a finding prescribes, by paired re-runs of the unchanged program.

    CODE names a finding of the run (L09); without one, all that can be treated are tried, the root
    first. Every seed is run as it is, treated, and with generic advice that the treatment has to
    beat. Your files are not touched. Exit status: 0 all cured, 1 not all, 130 interrupted.

    \b
    torchdx try
    torchdx try L09 --run NAME --steps 300 --seeds 5
    torchdx try L09 --patch | git apply
    """  # noqa: D301  # the sign that click knows is no backslash
    path = find(run_name)
    record = read(path)
    diagnosis = diagnose(record)
    if code is None and not diagnosis.findings:
        click.echo(f"nothing was found in {path.stem}, so there is nothing to try.", err=patch)
        return 0
    chosen = _chosen(diagnosis, code)
    if patch:
        return _patches(chosen)
    from torchdx.report import trial as report  # noqa: PLC0415
    from torchdx.report.terminal import console  # noqa: PLC0415
    from torchdx.treatments.base import all_treatments  # noqa: PLC0415  # torch, only now
    from torchdx.trials import edits, kept, plan, runner  # noqa: PLC0415

    out = console(stderr=False)
    known = all_treatments()
    jobs = jobs or _jobs()
    by_hand, with_another, cured = [], dict[str, str](), 0
    for finding in chosen:
        prescription = _injectable(finding, known)
        if prescription is None:
            by_hand.append(finding)
            continue
        if finding.code in with_another:
            report.went_with(finding, with_another[finding.code], out)
            cured += 1
            continue
        planned = plan.make(
            record,
            finding,
            prescription,
            known[prescription.change],
            steps=steps,
            seeds=seeds,
            max_minutes=max_minutes,
            memory_gb=memory,
            threads=_threads(jobs),
            budget=budget,
        )
        report.announced(planned, jobs, out)
        folder = kept.folder_of(path.stem, finding.code)
        with report.Progress(out, len(planned.runs), jobs) as progress:
            trial = runner.run(planned, folder, jobs=jobs, told=progress.told, keep=keep)
        edit = edits.edit_of(finding, prescription, Path.cwd())
        report.shown(trial, edit, out)
        _keep(trial, edit)
        if trial.interrupted:
            return 130
        if trial.verdict is not None and trial.verdict.word == "cured":
            cured += 1
            with_another |= dict.fromkeys(trial.went, finding.code)
    for finding in by_hand:
        report.not_tried(finding, edits.edit_of(finding, _first(finding), Path.cwd()), out)
    return 0 if cured == len(chosen) else 1


def _keep(trial: "Trial", edit: "Edit | str") -> None:
    """Write down what a trial has shown; that it could not be is said."""
    from torchdx.trials import kept  # noqa: PLC0415

    try:
        kept.write(trial, edit)
    except OSError as error:
        said = f"this trial could not be kept in {trial.folder}: {error.strerror or error}."
        click.echo(said, err=True)


def _patches(chosen: list[Finding]) -> int:
    """Print the edits of findings as one diff; say on stderr where there is none."""
    from torchdx.treatments.base import all_treatments  # noqa: PLC0415  # torch, only now
    from torchdx.trials import edits  # noqa: PLC0415

    known = all_treatments()
    found = 0
    for finding in chosen:
        tried = _injectable(finding, known) or _first(finding)
        edit = edits.edit_of(finding, tried, Path.cwd())
        if isinstance(edit, str):
            click.echo(f"{finding.code} {finding.name}: {edit}", err=True)
        else:
            found += 1
            click.echo(edit.diff, nl=False)
    return 0 if found else 1


def _chosen(diagnosis: Diagnosis, code: str | None) -> list[Finding]:
    """The findings that are to be tried.

    Raises:
        CallError: there is none.
    """
    told = [f for f in diagnosis.findings if f.prescriptions]
    if code is None:
        if not told:
            names = ", ".join(f"{f.code} {f.name}" for f in diagnosis.findings)
            msg = f"nothing is prescribed for what was found in this run ({names})."
            raise CallError(msg)
        return [f for f in told if f.severity != "note"] or told
    wanted = code.strip().lower()
    found = [f for f in told if wanted in (f.code.lower(), f.name.lower())]
    if not found:
        raise CallError(_not_found(diagnosis, code))
    return found


def _not_found(diagnosis: Diagnosis, code: str) -> str:
    """Why it cannot be tried: nothing is prescribed, another explains it, or it was not found."""
    wanted = code.strip().lower()
    for finding, cause in diagnosis.silenced:
        if wanted in (finding.code.lower(), finding.name.lower()):
            return f"{finding.code} {finding.name} is explained by {cause}: torchdx try {cause}."
    if any(wanted in (f.code.lower(), f.name.lower()) for f in diagnosis.findings):
        return f"nothing is prescribed for {code}: torchdx explain {code}."
    listed = ", ".join(f"{f.code} {f.name}" for f in diagnosis.findings) or "nothing"
    return f"{code} was not found in this run (found: {listed})."


def _injectable(finding: Finding, known: object) -> Prescription | None:
    """The first of a finding's prescriptions that some treatment carries out."""
    return next((p for p in finding.prescriptions if p.change in known), None)  # type: ignore[operator]


def _first(finding: Finding) -> Prescription:
    return finding.prescriptions[0]


def _jobs() -> int:
    """Runs at once: a core each, as long as each has some memory."""
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    return max(1, min(os.cpu_count() or 1, int(gigabytes / GB_EACH)))


def _threads(jobs: int) -> int:
    """Of each run: what `OMP_NUM_THREADS` says, else its share of the cores.

    More threads than cores wait for one another, busily: ten times the time was seen.
    """
    return int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, (os.cpu_count() or 1) // jobs)
