"""The questions that `torchdx curvature` asks, in their order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torchdx.curvatures.curvature import Curvature
from torchdx.curvatures.stability import LEAST_LOSSES
from torchdx.errors import CallError

Answers = dict[str, Any]  # by the question's name; where there is none, {"because": why}


def answers(
    asked: Curvature, top: int, *, optimizer: bool, losses: Sequence[float] = ()
) -> Answers:
    """Ask them all; those of the step only where there is an optimizer.

    Args:
        asked: the loss.
        top: eigenvalues that are told.
        optimizer: whether there is one.
        losses: of the steps before, oldest first; where they are known.

    Raises:
        CallError: the loss cannot be examined at all.
    """
    enough = losses if len(losses) >= LEAST_LOSSES else ()
    questions = _questions(asked, top, enough, optimizer=optimizer)
    return {name: _asked(name, ask) for name, ask in questions}


def told(found: Answers) -> Mapping[str, Any]:
    """Answers as plain data."""
    return {name: a if isinstance(a, dict) else a.as_dict() for name, a in found.items()}


def words(found: Answers) -> str:
    """Answers for a terminal."""
    return "\n\n".join(a["because"] if isinstance(a, dict) else str(a) for a in found.values())


def _questions(
    asked: Curvature, top: int, losses: Sequence[float], *, optimizer: bool
) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "extremes", asked.extremes
    yield "top", lambda: asked.top(min(top, asked.n))
    if optimizer:
        yield "step", asked.step
        yield "stability", lambda: asked.stability(losses)
    yield "critical", asked.critical
    yield "check", asked.check


def _asked(name: str, ask: Callable[[], Any]) -> Any:
    """The answer; for an optimizer whose limit is not known, why there is none."""
    try:
        return ask()
    except CallError as error:
        if name not in {"step", "stability"}:
            raise
        return {"because": str(error)}
