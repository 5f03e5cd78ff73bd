"""`torchdx try`: what a finding prescribes is tried on the user's own program."""

import os
from pathlib import Path

import click

from torchdx.errors import CallError
from torchdx.record.index import FOLDER, find
from torchdx.record.reader import read
from torchdx.rules.base import Finding, Prescription
from torchdx.rules.ranking import Diagnosis, diagnose


@click.command("try")
@click.argument("code", required=False)
@click.option("--run", "run_name", help="The run: its name or record; the last one by default.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimizer steps of every run.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True))
@click.option("--memory", type=float, metavar="GB", help="That a run may allocate at most.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Runs at once.")
@click.option("--keep", is_flag=True, help="Keep the folders that the runs wrote to.")
@click.option("--patch", is_flag=True, help="Print the edit as a diff; run nothing.")
def command(  # each is an option
    code: str | None,
    *,
    run_name: str | None,
    steps: int | None,
    seeds: int,
    max_minutes: float | None,
    memory: float | None,
    jobs: int | None,
    keep: bool,
    patch: bool,
) -> int:
    r"""Try what a finding prescribes, by paired re-runs of the unchanged program.

    CODE names a finding of the run (L09); without one, all that can be treated are tried, the root
    first. Every seed is run as it is, treated, and with generic advice that the treatment has to
    beat. Your files are not touched.

    \b
    torchdx try
    torchdx try L09 --run NAME --steps 300 --seeds 5
    torchdx try L09 --patch | git apply
    """
    path = find(run_name)
    record = read(path)
    diagnosis = diagnose(record)
    chosen = _chosen(diagnosis, code)
    if patch:
        return _patches(chosen)
    from torchdx.report import trial as report  # noqa: PLC0415
    from torchdx.report.terminal import console  # noqa: PLC0415
    from torchdx.treatments.base import all_treatments  # noqa: PLC0415  # torch, only now
    from torchdx.trials import edits, plan, runner  # noqa: PLC0415

    out = console(stderr=False)
    known = all_treatments()
    jobs = jobs or _jobs()
    cured = 0
    tried = [(f, p) for f in chosen if (p := _injectable(f, known)) is not None]
    for finding in chosen:
        if all(finding is not f for f, _ in tried):
            report.not_tried(finding, edits.edit_of(finding, _first(finding), Path.cwd()), out)
    for finding, prescription in tried:
        planned = plan.make(
            record,
            finding,
            prescription,
            known[prescription.change],
            steps=steps,
            seeds=seeds,
            max_minutes=max_minutes,
            memory_gb=memory,
        )
        report.announced(planned, out)
        folder = Path(FOLDER) / "trials" / f"{path.stem}-{finding.code}"
        with report.Progress(out, len(planned.runs), jobs) as progress:
            trial = runner.run(planned, folder, jobs=jobs, told=progress.told, keep=keep)
        report.shown(trial, edits.edit_of(finding, prescription, Path.cwd()), out)
        cured += trial.verdict is not None and trial.verdict.word == "cured"
        if trial.interrupted:
            return 130
    return 0 if cured == len(chosen) else 1


def _patches(chosen: list[Finding]) -> int:
    """Print the edits of findings as one diff; say on stderr where there is none."""
    from torchdx.trials import edits  # noqa: PLC0415

    found = 0
    for finding in chosen:
        edit = edits.edit_of(finding, _first(finding), Path.cwd())
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
            msg = "nothing was found in this run that could be tried. `torchdx report` shows it."
            raise CallError(msg)
        return [f for f in told if f.severity != "note"] or told
    wanted = code.strip().lower()
    found = [f for f in told if wanted in (f.code.lower(), f.name.lower())]
    if not found:
        listed = ", ".join(f"{f.code} {f.name}" for f in told) or "none"
        msg = f"{code} was not found in this run (found: {listed})."
        raise CallError(msg)
    return found


def _injectable(finding: Finding, known: object) -> Prescription | None:
    """The first of a finding's prescriptions that some treatment carries out."""
    return next((p for p in finding.prescriptions if p.change in known), None)  # type: ignore[operator]


def _first(finding: Finding) -> Prescription:
    return finding.prescriptions[0]


def _jobs() -> int:
    """Runs at once: a core for each thread that a run will take."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or (os.cpu_count() or 1)
    return max(1, (os.cpu_count() or 1) // threads)
