"""`torchdx check`: the verdict as an exit status, for build servers."""

from pathlib import Path

import click

from torchdx.cli.opening import open_run
from torchdx.errors import RecordError
from torchdx.record.model import Record
from torchdx.report.terminal import FEW, seen


@click.command("check")
@click.argument("run", required=False)
@click.option("--faults-only", is_flag=True, help="Suspicions do not count.")
def command(run: str | None, *, faults_only: bool) -> int:
    """Exit with 0 when RUN (the last one by default) is healthy, 1 when something was found.

    Notes do not count. The status is 2 when there is no such run, nothing in it to judge, or when
    nothing was found but torchdx stopped watching before the end.
    """
    path, record, diagnosis = open_run(run)
    if not record.trained:
        torn = f" ({record.torn_bytes} torn bytes at its end)" if record.torn_bytes else ""
        msg = (
            f"{path} holds no backward pass and no optimizer step{torn}: there is nothing to check."
        )
        raise RecordError(msg)
    counted = {"fault"} if faults_only else {"fault", "suspicion"}
    sick = [f for f in diagnosis.findings if f.severity in counted]
    if record.torn_bytes:
        click.echo(f"{path}: torn, {record.torn_bytes} bytes at its end are lost", err=True)
    for finding in sick:
        where = f"{finding.line}: " if finding.line else ""
        click.echo(f"{where}{finding.code} {finding.name}: {finding.text}")
    if record.failure:
        said = _stopped(path, record)
        if not sick:
            raise RecordError(said)
        click.echo(said, err=True)
    if not sick:
        little = f"; little was seen: {seen(record)}" if record.backwards < FEW else ""
        click.echo(f"{path.stem}: healthy ({len(diagnosis.checked)} rules checked{little})")
    return 1 if sick else 0


def _stopped(path: Path, record: Record) -> str:
    return (
        f"{path.stem}: torchdx stopped watching at step {record.failed_at} because of an error of "
        f"its own ({record.failure}); what came after was not seen, so that the run cannot be "
        "called healthy."
    )
