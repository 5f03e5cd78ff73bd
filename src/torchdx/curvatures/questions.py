"""The questions that `torchdx curvature` asks, in their order."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torchdx.curvatures.curvature import Curvature
from torchdx.errors import CallError

Answers = dict[str, Any]  # by the question's name; where there is none, {"because": why}


def answers(asked: Curvature, top: int, *, optimizer: bool) -> Answers:
    """Ask them all; those of the step only where there is an optimizer.

    Raises:
        CallError: the loss cannot be examined at all.
    """
    return {name: _asked(name, ask) for name, ask in _questions(asked, top, optimizer=optimizer)}


def told(found: Answers) -> Mapping[str, Any]:
    """Answers as plain data."""
    return {name: a if isinstance(a, dict) else a.as_dict() for name, a in found.items()}


def words(found: Answers) -> str:
    """Answers for a terminal."""
    return "\n\n".join(a["because"] if isinstance(a, dict) else str(a) for a in found.values())


def _questions(
    asked: Curvature, top: int, *, optimizer: bool
) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "extremes", asked.extremes
    yield "top", lambda: asked.top(min(top, asked.n))
    if optimizer:
        yield "step", asked.step
        yield "stability", asked.stability
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
