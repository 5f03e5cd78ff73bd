"""`torchdx curvature`: what the loss looks like around the weights that a function builds, or of a
recorded run's program at some step.
"""

import json
import os
from pathlib import Path
from typing import Any

import click

from torchdx.cli.parts import parts_of
from torchdx.errors import CallError


@click.command("curvature")
@click.argument("place", metavar="[MODULE:FUNCTION]", required=False)
@click.option("--run", "run_name", help="A recorded run in place of a function: name or record.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights to ask at: a state dict, plain or within a dictionary, or safetensors.",
)
@click.option(
    "--step", type=click.IntRange(1), help="Of a run: the optimizer step whose batch is taken."
)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Eigenvalues.")
@click.option("--json", "plain", is_flag=True, help="Print the answers as JSON.")
def command(  # noqa: PLR0913  # each is an option
    place: str | None,
    *,
    run_name: str | None,
    checkpoint: Path | None,
    step: int | None,
    top: int,
    plain: bool,
) -> int:
    """Measure the curvature of a loss: its extremes, the step size against it, where it leads.

    FUNCTION takes nothing and returns the model, the loss function and one batch, and the optimizer
    if there is one; the same as for `torchdx checkup`. Each number is told with its interval. The
    model is in the mode in which it is returned.

    Of a recorded run (--run; with --checkpoint or --step alone the last one) the program is run
    again up to a step, the first by default, in a scratch folder as by `torchdx try`: its files are
    not touched. The loss is that of the step's batch, at the program's weights or those of a file.

    \b
    torchdx curvature train:parts
    torchdx curvature scripts/train.py:parts --json
    torchdx curvature --run train-20260801 --step 100
    torchdx curvature --checkpoint best.pt
    """  # noqa: D301  # the sign that click knows is no backslash
    of_run = run_name is not None or checkpoint is not None or step is not None
    if place is not None and of_run:
        msg = f"{place} is a function, and --run, --checkpoint and --step are of a recorded run: "
        msg += "give one or the other."
        raise CallError(msg)
    if of_run:
        return _revisited(run_name, checkpoint, step or 1, top, plain=plain)
    if place is None:
        msg = "curvature needs MODULE:FUNCTION, as in train:parts, or a recorded run: --run NAME, "
        msg += "or --step 1 for the last one."
        raise CallError(msg)
    return _of_parts(place, top, plain=plain)


def _of_parts(place: str, top: int, *, plain: bool) -> int:
    model, loss_fn, batch, *rest = parts_of(place, "curvature")
    from torchdx.curvatures import questions  # noqa: PLC0415  # torch, only now
    from torchdx.curvatures.curvature import curvature  # noqa: PLC0415

    optimizer = rest[0] if rest else None
    with curvature(model, loss_fn, batch, optimizer) as asked:
        answers = questions.answers(asked, top, optimizer=optimizer is not None)
    if plain:
        click.echo(json.dumps(questions.told(answers), indent=2))
    else:
        click.echo(questions.words(answers))
    return 0


def _revisited(
    run_name: str | None, checkpoint: Path | None, step: int, top: int, *, plain: bool
) -> int:
    from torchdx.record.index import find  # noqa: PLC0415  # of this form alone
    from torchdx.record.reader import read  # noqa: PLC0415
    from torchdx.trials import revisit  # noqa: PLC0415

    record = read(find(run_name))
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0) or os.cpu_count() or 1
    asked = revisit.plan(record, step=step, checkpoint=checkpoint, top=top, threads=threads)
    notes = _changed(list(revisit.changed(record)))
    click.echo(f"running {asked.name} again up to step {step}, in a scratch folder", err=True)
    found = revisit.visit(asked)
    notes += found["notes"]
    if found["elsewhere"]:
        notes.append(f"kept in the scratch folder: {', '.join(found['elsewhere'][:3])}")
    if plain:
        head = {"program": asked.name, "step": step, "checkpoint": asked.checkpoint or None}
        facts = {"model": found["model"], "rows": found["rows"], "notes": notes}
        click.echo(json.dumps({"run": {**head, **facts}, **found["answers"]}, indent=2))
        return 0
    click.echo(_head(asked, found))
    for note in notes:
        click.echo(f"  note: {note}")
    click.echo(f"\n{found['words']}")
    return 0


def _head(asked: Any, found: dict[str, Any]) -> str:
    at = f", at the weights of {Path(asked.checkpoint).name}" if asked.checkpoint else ""
    rows = "" if found["rows"] is None else f", {found['rows']} rows"
    return f"{asked.name}, step {asked.step}: the loss of {found['model']}{rows}{at}"


def _changed(lines: list[str]) -> list[str]:
    if not lines:
        return []
    others = f" and {len(lines) - 3} more" if len(lines) > 3 else ""  # noqa: PLR2004
    shown = ", ".join(sorted(lines)[:3])
    return [f"the program has changed since the run: {shown}{others}; it is run as it is now"]
