"""Whether weights stay as they are although gradients reach them."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchdx.events.recorder import Recorder
from torchdx.instruments.tensors import few_of, nonzero, norms_of, unseen


class Stillness:
    """Whether weights change at all in a program that calls backward but steps no optimizer."""

    CHECKS = (3, 10, 30, 100, 300)
    PARAMETERS, ELEMENTS = 64, 256

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._first: list[tuple[weakref.ref[Any], torch.Tensor]] = []
        self._due: tuple[int, int | None] | None = None

    def backward(self, count: int, leaves: list[Any], line: int | None) -> None:
        """Called before the backward number `count` with the parameters that it reaches."""
        if count == 1:
            with unseen():
                chosen = leaves[: self.PARAMETERS]
                self._first = [(weakref.ref(p), few_of(p, self.ELEMENTS).clone()) for p in chosen]
        elif count in self.CHECKS and self._first:
            self._due = count, line

    def ended(self) -> None:
        """Called after it, with the gradients that it left."""
        if self._due is None:
            return
        (count, line), self._due = self._due, None
        alive = [(p, old) for ref, old in self._first if (p := ref()) is not None]
        with unseen():
            changed = sum(not torch.equal(few_of(p, self.ELEMENTS), old) for p, old in alive)
            flowing = nonzero([p.grad for p, _ in alive])
        facts = {"backwards": count, "of": len(alive), "changed": changed, "nonzero": flowing}
        self._recorder.event("still", line=line, **facts)


class LeftOut:
    """Whether parameters that gradients reach, but no optimizer holds, stay as they are.

    A program may well update some parameters itself; only what is compared is known.
    """

    CHECKS = (3, 30, 300)  # steps of an optimizer after which is compared
    PARAMETERS, ELEMENTS = 1_000, 64

    def __init__(self, recorder: Recorder, label: Callable[[Any], str]) -> None:
        self._recorder, self._label = recorder, label
        self._first: dict[int, tuple[weakref.ref[Any], torch.Tensor]] = {}
        self._waited = 0

    def met(self, leaves: list[Any], held: set[int]) -> bool:
        """Keep a few elements of each parameter that is in no optimizer; whether there is one."""
        out = [p for p in leaves if id(p) not in held and isinstance(p, nn.Parameter)]
        for parameter in out[: self.PARAMETERS]:
            known = self._first.get(id(parameter))
            if known is None or known[0]() is not parameter:
                with unseen():
                    few = few_of(parameter, self.ELEMENTS).clone()
                self._first[id(parameter)] = (weakref.ref(parameter), few)
                self._waited = 0
        if len(self._first) > self.PARAMETERS:
            self._forget()
        return bool(out)

    def _forget(self) -> None:
        self._first = {i: kept for i, kept in self._first.items() if kept[0]() is not None}

    def due(self, step: int) -> bool:
        """Whether to compare now, after an optimizer's step."""
        self._waited += bool(self._first) and step > 0
        return bool(self._first) and self._waited in self.CHECKS

    def compare(self, held: set[int]) -> None:
        """Record which of them have a gradient and the value that they had."""
        self._forget()
        kept = [(ref(), old) for i, (ref, old) in self._first.items() if i not in held]
        alive = [(p, old) for p, old in kept if p is not None and p.grad is not None]
        with unseen():
            flowing = norms_of([p.grad for p, _ in alive]) or [1.0] * len(alive)
            pairs = [pair for pair, norm in zip(alive, flowing, strict=True) if norm > 0]
            still = [
                self._label(p) for p, old in pairs if torch.equal(few_of(p, self.ELEMENTS), old)
            ]
        if still:
            self._recorder.event("left-out", steps=self._waited, params=still)
