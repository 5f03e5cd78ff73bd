"""`torchdx checkup`: questions before training, asked of a model that a function builds."""

import click

from torchdx.cli.parts import parts_of
from torchdx.report import checkup as report


@click.command("checkup")
@click.argument("place", metavar="MODULE:FUNCTION")
def command(place: str) -> int:
    """Ask a model thirty questions before it is trained.

    FUNCTION takes nothing and returns the model, the loss function and one batch, and the optimizer
    if there is one. The loss function is called with the model and the batch, or with an output and
    its target.

    \b
    torchdx checkup train:parts
    torchdx checkup scripts/train.py:parts

    The exit status is 0 when everything passed or was unclear, 1 when something was found, 2 when
    the model could not be examined.
    """  # noqa: D301  # the sign that click knows is no backslash
    model, loss_fn, batch, *optimizer = parts_of(place, "checkup")
    from torchdx.checkups.checkup import checkup  # noqa: PLC0415  # torch, only now

    result = checkup(model, batch, loss_fn, *optimizer)
    report.show(result.rows, result.seconds)
    return 0 if result.passed else 1
