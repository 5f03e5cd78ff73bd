"""Asks whether an answer depends on the other rows of its batch, and where that begins."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch

from torchdx.probes.errors import CannotMeasure
from torchdx.probes.layers import Called, Calls, Place
from torchdx.probes.stand_in import StandIn, alike, measured, standing_in
from torchdx.probes.subject import Subject, tensors_at

APART = 1e-3  # relative: float32 products of another batch differ by 1e-6, of bfloat16 by less
MOST_ELEMENTS = 20_000_000  # of all answers of one forward, kept to find where rows meet

LAYOUT = frozenset("view reshape flatten unflatten view_as reshape_as".split())
_RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu".split())
_SEED = 20_261_121


@dataclass(frozen=True)
class Layout:
    """A change of shape after which rows are no longer where they were."""

    function: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    place: Place | None


@dataclass(frozen=True)
class Mixing:
    """Rows of a batch among others, in evaluation mode.

    rows        of the batch; `axis` of the input along which they lie
    difference  of a row's answer when the other rows are exchanged, relative to how far the answers
                of all rows are apart: 0 when each row is answered by itself
    mixed       whether it is more than rounding
    function    the first function of torch whose answer for a row depends on other rows
    path        of the module whose code called it; `place`: the line
    layout      the change of shape before it that tore rows apart, if one did
    along       whether it is a recurrence or an attention that runs along the rows, beside a second
                axis of several places: the batch stands where positions are expected
    """

    rows: int
    axis: int
    difference: float
    mixed: bool
    function: str = ""
    path: str = ""
    place: Place | None = None
    layout: Layout | None = None
    along: bool = False


@measured
def mixing(subject: Subject) -> Mixing:
    """Rows among other rows; two forwards where they do not mix.

    Half of the rows are kept, the others are replaced by copies of them; the answers for the kept
    rows should not change. The axis of the rows is any that input and answer share: where the rows
    along one of them do not meet, that is the batch.
    """
    with standing_in(subject) as double:
        double.set_mode("evaluation")
        first, second = double.answers()
        if not alike(first, second):
            raise CannotMeasure("the model's answers are random in evaluation mode too")
        answer = _answered(first)
        found = None
        for axes in _axes(double, answer):
            tried = _try(double, answer, axes)
            if tried.difference <= APART:
                return Mixing(tried.rows, tried.axis, tried.difference, mixed=False)
            found = found or tried
        if found is None:
            raise CannotMeasure("no axis of the answer is as long as one of the input")
        where = _locate(double, found.exchange, found.rows, found.axis)
        return Mixing(found.rows, found.axis, found.difference, mixed=True, **where)


@dataclass(frozen=True)
class _Exchange:
    """Which row stands in the place of each; `kept` are those that stay."""

    rows: list[int]
    kept: list[int]


@dataclass(frozen=True)
class _Tried:
    rows: int
    axis: int
    difference: float
    exchange: _Exchange


def _axes(double: StandIn, answer: torch.Tensor) -> Iterator[tuple[int, int]]:
    """Pairs of axes, of the input and of the answer, that may hold the rows."""
    given = _main(double)
    for axis in range(min(2, given.dim())):
        for other in range(min(2, answer.dim())):
            if given.shape[axis] == answer.shape[other] > 1:
                yield axis, other


def _main(double: StandIn) -> torch.Tensor:
    found = (g.was for g in double.given if g.was.dim() and not g.target)
    main = next(found, None)
    if main is None or main.layout is not torch.strided:
        raise CannotMeasure("the model is called with no tensor of rows")
    return main


def _answered(answer: Any) -> torch.Tensor:
    found = (t for _, t in tensors_at(answer) if t.dim() and t.is_floating_point())
    first = next(found, None)
    if first is None:
        raise CannotMeasure("the model answers with no rows of real numbers")
    return first.detach()


def _try(double: StandIn, first: torch.Tensor, axes: tuple[int, int]) -> _Tried:
    axis, other = axes
    rows = _main(double).shape[axis]
    for exchange in _exchanges(rows):
        try:
            second = _answered(double.answer(changed=_exchanged(double, exchange, rows, axis)))
        except CannotMeasure:
            raise
        except Exception:  # noqa: BLE001, S112  # rows may have to be in order of their lengths
            continue
        if first.shape != second.shape:
            raise CannotMeasure("the shape of the answer depends on the values of the input")
        kept = torch.tensor(exchange.kept, device=first.device)
        spread = float((first - first.mean(other, keepdim=True)).double().square().mean().sqrt())
        a, b = first.index_select(other, kept), second.index_select(other, kept)
        moved = float((a - b).double().square().mean().sqrt())
        size = spread or float(first.double().square().mean().sqrt())
        return _Tried(rows, axis, moved / size if moved else 0.0, exchange)
    raise CannotMeasure("the model cannot be called with other rows")


def _exchanges(rows: int) -> Iterator[_Exchange]:
    """Half of the rows by chance; then the first half, which keeps rows in order of length."""
    generator = random.Random(_SEED)  # noqa: S311  # not for secrets
    some = sorted(generator.sample(range(rows), rows - rows // 2))
    yield _Exchange([i if i in set(some) else generator.choice(some) for i in range(rows)], some)
    half = list(range(rows - rows // 2))
    yield _Exchange([min(i, half[-1]) for i in range(rows)], half)


def _exchanged(
    double: StandIn, exchange: _Exchange, rows: int, axis: int
) -> dict[int, torch.Tensor]:
    """Every tensor of rows that the model is given, with some rows in place of others."""
    main, changed = _main(double), {}
    for index, given in enumerate(double.given):
        tensor = given.was
        if tensor is not main and list(tensor.shape).count(rows) > 1:
            raise CannotMeasure("several axes of a tensor are as long as the batch")
        if tensor.dim() > axis and tensor.shape[axis] == rows:
            order = torch.tensor(exchange.rows, device=tensor.device)
            changed[index] = tensor.index_select(axis, order)
    return changed


def _locate(double: StandIn, exchange: _Exchange, rows: int, axis: int) -> dict[str, Any]:
    """Follow two forwards side by side, to the first function where rows meet."""
    runs = []
    for changed in ({}, _exchanged(double, exchange, rows, axis)):
        calls = Calls(double, whole=True, most_elements=MOST_ELEMENTS)
        double.answer(changed=changed, gradients=True, under=calls)
        runs.append(calls.calls)
    kept = frozenset(exchange.kept)
    torn: set[int] = set()
    tearing = None
    for first, second in zip(*runs, strict=False):
        if first.function != second.function or len(first.answers) != len(second.answers):
            break
        whole = not any(id(t) in torn for t in first.given)
        if whole and first.function in LAYOUT and _tears(first, second, rows, kept):
            tearing = _layout(first)
        lost = [
            answer
            for answer, a, b in zip(first.answers, first.values, second.values, strict=True)
            if not _separable(a, b, rows, kept)
        ]
        torn.update(map(id, lost))
        if lost and whole:
            layout = _layout(first) if first.function in LAYOUT else tearing
            along = _runs_along(first, second, rows, kept)
            return {
                "function": first.function,
                "path": first.path,
                "place": first.place,
                "layout": layout,
                "along": along,
            }
    return {}


def _layout(call: Called) -> Layout:
    before, after = tuple(call.given[0].shape), tuple(call.answers[0].shape)
    return Layout(call.function, before, after, call.place)


def _tears(first: Called, second: Called, rows: int, kept: frozenset[int]) -> bool:
    """Whether a change of shape may tear rows though they can still be told apart."""
    return _permutes(first) or _swallows(first, second, rows, kept)


def _permutes(call: Called) -> bool:
    """Whether a change of shape has the sizes of what it is given, in another order."""
    before = [n for n in call.given[0].shape if n > 1]
    after = [n for n in call.answers[0].shape if n > 1]
    return before != after and sorted(before) == sorted(after)


def _swallows(first: Called, second: Called, rows: int, kept: frozenset[int]) -> bool:
    """Whether a change of shape puts rows, which had an axis, among the features: the last axis."""
    a, b = first.inputs, second.inputs
    if a is None or b is None or a.shape != b.shape or first.values[0].dim() < 2:  # noqa: PLR2004
        return False
    before = list(_row_axes(_changed(a, b), rows, kept))
    after = list(_row_axes(_changed(first.values[0], second.values[0]), rows, kept))
    ends = a.dim(), first.values[0].dim()
    inside = bool(after) and all(last == ends[1] for _, last in after)
    return inside and any(last < ends[0] for _, last in before)


def _separable(a: torch.Tensor, b: torch.Tensor, rows: int, kept: frozenset[int]) -> bool:
    """Whether kept rows can still be told from exchanged ones, along one axis or adjacent ones."""
    if a.shape != b.shape or a.layout is not torch.strided or not a.numel():
        return True
    changed = _changed(a, b)
    if not bool(changed.any()):
        return True
    return any(True for _ in _row_axes(changed, rows, kept))


def _changed(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if not a.is_floating_point():
        return a != b
    size = float(a.double().square().mean().sqrt()) or 1.0
    return ~torch.isclose(a, b, rtol=APART, atol=APART * size, equal_nan=True)


def _row_axes(changed: torch.Tensor, rows: int, kept: frozenset[int]) -> Iterator[tuple[int, int]]:
    """The stretches of axes (first, behind the last) along which kept rows have not changed.

    Rows may be one axis, each a block of it (rows x positions), or every so many of it
    (positions x rows).
    """
    for first, last in combinations(range(changed.dim() + 1), 2):
        size = 1
        for length in changed.shape[first:last]:
            size *= length
        if size % rows or (last - first == changed.dim() > 1):
            continue
        merged = changed.flatten(first, last - 1).movedim(first, 0).reshape(size, -1).any(1)
        if any(not bool(merged[places].any()) for places in _places(size, rows, kept)):
            yield first, last


def _places(size: int, rows: int, kept: frozenset[int]) -> Iterator[list[int]]:
    block = size // rows
    yield [row * block + i for row in kept for i in range(block)]
    yield [i * rows + row for row in kept for i in range(block)]


def _runs_along(first: Called, second: Called, rows: int, kept: frozenset[int]) -> bool:
    """Whether a recurrence or an attention takes the rows for its positions."""
    given, other = first.inputs, second.inputs
    if given is None or other is None or given.dim() != 3:  # noqa: PLR2004  # positions, rows, features
        return False
    if first.function in _RECURRENT:
        leading = not first.numbers[-1]  # batch_first
    else:
        leading = first.function == "multi_head_attention_forward"
    if not leading or given.shape[1] == 1 or given.shape[0] != rows:
        return False
    changed = _changed(given, other)
    return (0, 1) in set(_row_axes(changed, rows, kept))
