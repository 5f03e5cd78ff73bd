"""Watches, after a few validation calls, what the program makes of the model's answer.

The methods and functions of torch by which answers are judged (`argmax`, `max`, comparisons,
`round`, `==`) are replaced from the return of the call to the next call of a model or backward
pass, and only ever for the user's own code. Of the answer itself an even sample is kept.

`answer-used` events:

op         `pick` (the best along a dimension), `threshold`, `round` or `equal`
of         what it was done to: `answer`, its `sigmoid`, `affine` (the answer times a number plus
           one), or for `equal` also `picked`, `thresholded`, `rounded`
model      that was called; rows, shape: of what it was done to; made: line of the operand's making
pick       dim, None for the whole tensor; size: how many there were to pick from
threshold  at (0.5 for `round`); low, high: range of the answer; between: share of its elements
           from 0 to `at`
equal      share that was equal; elements; at_zero, at_half: the same share, had the answer itself
           been cut at 0 or at 0.5, None where it is of another size; distinct, whole, spread: of
           what it was compared with, and its correlation with the answer
"""

import functools
import math
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from torchdx.events.glimpse import Call
from torchdx.events.lens import first_tensor
from torchdx.events.patches import Patches
from torchdx.events.recorder import Recorder, Sparse
from torchdx.events.sampling import Quiet
from torchdx.instruments.predictions import HALF
from torchdx.instruments.tensors import few_of, plain, unseen

ELEMENTS = 4_096  # of an answer that are kept
NOTICED = 60  # operations that are looked at after one call
DENSE = 2  # calls at a line that are followed one by one; then ever rarer
_LEAST = 8  # elements below which one tensor is like another by chance
_SAME = 1e-4  # root mean square of what a line leaves over, in deviations

_PICKS = dict.fromkeys(["argmax", "max"], "pick")
_CUTS = dict.fromkeys(["gt", "ge", "lt", "le"], "threshold")
_NAMED = _PICKS | _CUTS | {"round": "round", "eq": "equal"}
_DUNDERS = dict.fromkeys(["__gt__", "__ge__", "__lt__", "__le__"], "threshold")
_METHODS = _NAMED | _DUNDERS | {"__eq__": "equal"}
# Compilers know torch's functions by identity: ours are gone before they look.
_COMPILERS = ((torch.jit, "script"), (torch.jit, "trace"))


@dataclass(frozen=True)
class _Answer:
    """What a model has just answered: `few` of its elements, as float32 on the CPU."""

    model: str
    shape: tuple[int, ...]
    few: torch.Tensor
    line: int | None


@dataclass(frozen=True)
class _Made:
    """A tensor that was made of it: `kind` is `picked`, `thresholded` or `rounded`.

    of   what it was made of
    """

    kind: str
    of: str
    thing: "weakref.ref[torch.Tensor]"
    size: int
    few: torch.Tensor
    line: int | None


class Metrics(Quiet):
    """Replaces what answers are judged by, for a while."""

    def __init__(
        self, recorder: Recorder, shielded: Callable[[Callable[..., None]], Callable[..., None]]
    ) -> None:
        self._recorder = recorder
        self._seen = shielded(self._noticed)
        self._patches = Patches()
        self._lines: dict[int | None, tuple[Sparse, int]] = {}
        self._answer: _Answer | None = None
        self._made: list[_Made] = []
        self._left = 0
        self._allowed = True

    def judged(self, call: Call, step: int) -> None:  # noqa: ARG002  # as all instruments
        """A model has answered without gradients."""
        self.end()
        sparse, count = self._lines.get(call.line, (Sparse(DENSE, ratio=2.0), 0))
        self._lines[call.line] = sparse, count + 1
        answer = first_tensor(call.output)
        if not self._allowed or not sparse.due(count + 1) or not _fit(answer):
            return
        assert answer is not None  # noqa: S101  # for mypy
        self._answer = _Answer(call.path, tuple(answer.shape), _few(answer), call.line)
        self._left = NOTICED
        for name, operation in _METHODS.items():
            self._patches.replace(torch.Tensor, name, self._noticing(operation))
        for name, operation in _NAMED.items():
            self._patches.replace(torch, name, self._noticing(operation))
        for owner, name in _COMPILERS:
            self._patches.replace(owner, name, self._ending)

    def end(self) -> None:
        """Put torch's own back; harmless when they are."""
        self._patches.undo()
        self._answer, self._made = None, []

    def forbid(self) -> None:
        """Never again: the program compiles something."""
        self.end()
        self._allowed = False

    def _noticing(self, operation: str) -> Callable[[Any], Any]:
        is_user = self._recorder.frames.is_user

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def noticing(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                if is_user(sys._getframe(1).f_code.co_filename):
                    self._seen(operation, args, kwargs, result)
                return result

            return noticing

        return make

    def _ending(self, original: Any) -> Any:
        @functools.wraps(original)
        def ending(*args: Any, **kwargs: Any) -> Any:
            self.end()
            return original(*args, **kwargs)

        return ending

    def _noticed(self, operation: str, args: Any, kwargs: Any, result: Any) -> None:
        answer = self._answer
        self._left -= 1
        if answer is None or self._left < 0 or torch.compiler.is_compiling():
            self.end()
            return
        if not args or not isinstance(args[0], torch.Tensor) or args[0].numel() == 0:
            return
        with unseen():
            handle = {"pick": self._pick, "equal": self._equal}.get(operation)
            if handle is not None:
                handle(answer, args, kwargs, result)
            else:
                self._cut(operation, answer, args, kwargs, result)

    def _pick(self, answer: _Answer, args: Any, kwargs: Any, result: Any) -> None:
        given = args[0]
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        picked = result if isinstance(result, torch.Tensor) else getattr(result, "indices", None)
        known = dim is None or (isinstance(dim, int) and not isinstance(dim, bool))
        of = _what(given, answer)
        if not known or picked is None or not of or picked.is_floating_point():
            return
        line = self._remember("picked", of, picked)
        size = given.numel() if dim is None else given.shape[dim] if given.dim() else 1
        self._tell("pick", answer, line, of=of, shape=list(given.shape), dim=dim, size=size)

    def _cut(self, op: str, answer: _Answer, args: Any, kwargs: Any, result: Any) -> None:
        given = args[0]
        of = _what(given, answer)
        if not of or not isinstance(result, torch.Tensor):
            return
        round_ = op == "round"
        at = 0.5 if round_ else _number(kwargs.get("other", args[1] if len(args) > 1 else None))
        if at is None or kwargs.get("decimals", 0) != 0:
            return
        line = self._remember("rounded" if round_ else "thresholded", of, result)
        few = _few(given)
        least, most = min(0.0, at), max(0.0, at)
        facts = {
            "low": float(few.min()),
            "high": float(few.max()),
            "between": float(((few > least) & (few <= most)).float().mean()),
        }
        self._tell(op, answer, line, of=of, at=at, shape=list(given.shape), **facts)

    def _equal(self, answer: _Answer, args: Any, kwargs: Any, result: Any) -> None:
        one, two = args[0], kwargs.get("other", args[1] if len(args) > 1 else None)
        if not isinstance(two, torch.Tensor) or not isinstance(result, torch.Tensor):
            return
        for own, other in ((one, two), (two, one)):
            made = self._maker(own)
            of = made.kind if made else _what(own, answer)
            if of and other is not own and other.numel() > 1:
                facts = _compared(answer, other)
                share, rows = float(result.float().mean()), result.numel()
                where = None if made is None else made.line
                facts |= {"of": of, "made": where, "share": share, "elements": rows}
                self._tell("equal", answer, None, **facts)
                return

    def _remember(self, kind: str, of: str, result: torch.Tensor) -> int | None:
        line = self._recorder.frames.here()
        made = _Made(kind, of, weakref.ref(result), result.numel(), _few(result), line)
        self._made = [made, *self._made[:7]]
        return line

    def _maker(self, tensor: torch.Tensor) -> _Made | None:
        """Which of the tensors made before this is, or equals."""
        alive = next((made for made in self._made if made.thing() is tensor), None)
        if alive is not None:
            return alive
        few = _few(tensor) if tensor.numel() > 1 else None
        return next((m for m in self._made if few is not None and _equals(m, tensor, few)), None)

    def _tell(self, op: str, answer: _Answer, line: int | None, **facts: Any) -> None:
        known = {"model": answer.model, "answer": list(answer.shape)}
        self._recorder.event("answer-used", line=line, op=op, **known, **facts)


def _fit(answer: Any) -> bool:
    return plain(answer) and answer.is_floating_point() and answer.numel() > 1


def _few(tensor: torch.Tensor) -> torch.Tensor:
    with unseen():
        return few_of(tensor, ELEMENTS).float().cpu().clone()


def _equals(made: _Made, tensor: torch.Tensor, few: torch.Tensor) -> bool:
    return made.size == tensor.numel() and torch.equal(made.few, few)


def _number(value: Any) -> float | None:
    """A limit given as a number, or as a tensor of one."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if fits else None


def _what(tensor: torch.Tensor, answer: _Answer) -> str:
    """What a tensor is of an answer, element by element; empty when nothing that is known."""
    if not tensor.is_floating_point() or tensor.numel() != math.prod(answer.shape):
        return ""
    few, own = _few(tensor), answer.few
    if torch.equal(few, own):
        return "answer"
    if torch.allclose(few, torch.sigmoid(own), rtol=1e-4, atol=1e-6):
        return "sigmoid"
    return "affine" if _on_a_line(few.double(), own.double()) else ""


def _on_a_line(one: torch.Tensor, two: torch.Tensor) -> bool:
    if len(one) < _LEAST or not bool(torch.isfinite(one).all() and torch.isfinite(two).all()):
        return False
    one, two = one - one.mean(), two - two.mean()
    both, power = float(one.square().mean().sqrt()), float(two.square().mean())
    if both == 0 or power == 0:
        return False
    rest = one - two * float((one * two).mean()) / power
    return float(rest.square().mean().sqrt()) < _SAME * both


def _compared(answer: _Answer, other: torch.Tensor) -> dict[str, Any]:
    """What an answer, or what was made of it, was compared with."""
    few = _few(other)
    finite = bool(torch.isfinite(few).all())
    facts: dict[str, Any] = {
        "distinct": int(torch.unique(few).numel()),
        "whole": finite and bool((few == few.round()).all()),
        "float": other.is_floating_point(),
        "spread": float(few.std(correction=0)) if finite else None,
        **dict.fromkeys(("at_zero", "at_half", "correlation")),
    }
    if finite and other.numel() == math.prod(answer.shape):
        own, yes = answer.few, few > HALF
        facts["at_zero"] = float(((own > 0) == yes).float().mean())
        facts["at_half"] = float(((own > HALF) == yes).float().mean())
        pair = torch.stack([own.double(), few.double()])
        if len(few) >= _LEAST and bool((pair.std(1) > 0).all()):
            facts["correlation"] = float(torch.corrcoef(pair)[0, 1])
    return facts
