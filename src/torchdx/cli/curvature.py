"""`torchdx curvature`: what the loss looks like around the weights that a function builds."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import click

from torchdx.cli.parts import parts_of
from torchdx.errors import CallError


@click.command("curvature")
@click.argument("place", metavar="MODULE:FUNCTION")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Eigenvalues.")
@click.option("--json", "plain", is_flag=True, help="Print the answers as JSON.")
def command(place: str, *, top: int, plain: bool) -> int:
    """Measure the curvature of a loss: its extremes, the step size against it, where it leads.

    FUNCTION takes nothing and returns the model, the loss function and one batch, and the optimizer
    if there is one; the same as for `torchdx checkup`. Each number is told with its interval. The
    model is in the mode in which it is returned.

    \b
    torchdx curvature train:parts
    torchdx curvature scripts/train.py:parts --json
    """  # noqa: D301  # the sign that click knows is no backslash
    model, loss_fn, batch, *rest = parts_of(place, "curvature")
    from torchdx.curvatures.curvature import curvature  # noqa: PLC0415  # torch, only now

    optimizer = rest[0] if rest else None
    with curvature(model, loss_fn, batch, optimizer) as asked:
        answers = {name: _asked(name, ask) for name, ask in _questions(asked, top, optimizer)}
    if plain:
        told = {n: a if isinstance(a, dict) else a.as_dict() for n, a in answers.items()}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n\n".join(map(_said, answers.values())))
    return 0


def _questions(asked: Any, top: int, optimizer: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """By name; those of the step only where there is an optimizer."""
    yield "extremes", asked.extremes
    yield "top", lambda: asked.top(min(top, asked.n))
    if optimizer is not None:
        yield "step", asked.step
        yield "stability", asked.stability
    yield "critical", asked.critical
    yield "check", asked.check


def _asked(name: str, ask: Callable[[], Any]) -> Any:
    """The answer; for an optimizer whose limit is not known, why there is none.

    Raises:
        CallError: the loss cannot be examined at all.
    """
    try:
        return ask()
    except CallError as error:
        if name != "stability":
            raise
        return {"because": str(error)}


def _said(answer: Any) -> str:
    return answer["because"] if isinstance(answer, dict) else str(answer)
