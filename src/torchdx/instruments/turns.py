"""Whether the rows that one model is judged on are left out of its training in turn.

`turns` events, one a model, once rows that had been learned from are judged: the sets that it was
judged on, in the order in which they came first; a set that comes again in most of its rows is one.

rows      different rows judged
at        optimizer steps done when it was last judged
fresh     whether none of its rows had been learned from when it was first judged
joined    of the rows of a fresh one, how many were learned from later
learned   its rows that had been learned from when it was last judged. Of the sampled batches until
          the last that held any of these, `before` is how many there were, and `hits` how many held
          some; `since` is how many came after it, and held none
again     of the rows learned from in these later batches, the share that had been so before

What was learned from before the weights were laid anew, or put back to the first ones, is
forgotten here.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from torchdx.instruments.tensors import few_of, plain, unseen

KNOWN = 20_000  # different rows that are followed, as in `batches.py`
_BATCHES = 2_000  # learned batches that are kept
_TURNS = 16  # sets that are kept
_SAME = 0.5  # of the rows of both together: two folds share none
_TENSORS, _ELEMENTS = 8, 128  # of the weights that are looked at
_AWAY = 1.0  # of the norm: weights drawn anew are at 1.4 of it, one step apart is far less


@dataclass
class Turn:
    """A set of rows that is judged, see above."""

    digests: set[int]
    at: int
    fresh: bool
    joined: set[int] = field(default_factory=set)
    learned: int = 0
    before: int = 0
    hits: int = 0
    since: int = 0
    again: float = 0.0
    passes: int = 0

    def facts(self) -> dict[str, Any]:
        """As it is written down."""
        return {
            "rows": len(self.digests),
            "at": self.at,
            "fresh": self.fresh,
            "joined": len(self.joined),
            "learned": self.learned,
            "before": self.before,
            "hits": self.hits,
            "since": self.since,
            "again": self.again,
        }


class Turns:
    """Follows, for one model, what is learned from and what is judged, in one order."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._known: set[int] = set()
        self._batches: deque[set[int]] = deque(maxlen=_BATCHES)
        self._open: tuple[int, int] | None = None
        self._judged: set[int] = set()
        self._weights: torch.Tensor | None = None
        self._initial: torch.Tensor | None = None

    def learned(self, digests: list[int], weights: torch.Tensor | None) -> None:
        """A batch was learned from."""
        if not digests:
            return
        self.close()
        self._follow(weights)
        known = {d for d in digests if d in self._known or len(self._known) < KNOWN}
        self._batches.append(known)
        self._known |= known
        for turn in self.turns:
            if turn.fresh:
                turn.joined |= turn.digests & known

    def judged(self, place: int, at: int, digests: list[int], weights: torch.Tensor | None) -> None:
        """A batch was judged, of the set `place`, after `at` optimizer steps."""
        if self._open != (place, at):
            self.close()
            self._follow(weights)
            self._open = place, at
        self._judged.update(digests)

    def close(self) -> None:
        """The pass over a judged set is over."""
        rows, at, self._judged = self._judged, self._open, set()
        self._open = None
        if not rows or at is None:
            return
        known = rows & self._known
        turn = next((t for t in reversed(self.turns) if _same(t.digests, rows)), None)
        if turn is None:
            if len(self.turns) == _TURNS:
                return
            turn = Turn(rows, at[1], fresh=not known)
            self.turns.append(turn)
        turn.at, turn.learned, turn.passes = at[1], len(known), turn.passes + 1
        joined = any(other.joined for other in self.turns if other is not turn)
        if known and joined and turn.passes.bit_count() == 1:  # at doublings of the passes
            self._measure(turn, known)

    def _measure(self, turn: Turn, known: set[int]) -> None:
        batches = list(self._batches)
        held = [place for place, batch in enumerate(batches, 1) if not batch.isdisjoint(known)]
        last = held[-1] if held else 0
        turn.before, turn.hits, turn.since = last, len(held), len(batches) - last
        earlier: set[int] = set().union(*batches[:last])
        later: set[int] = set().union(*batches[last:])
        turn.again = len(later & earlier) / len(later) if later else 0.0

    def _follow(self, weights: torch.Tensor | None) -> None:
        """Forget what the model no longer knows."""
        before, self._weights = self._weights, weights
        if weights is None or before is None or before.shape != weights.shape:
            self._initial = weights
            return
        moved = (weights - before).norm()
        back = self._initial is not None and (weights - self._initial).norm() < moved
        if back or moved > _AWAY * before.norm():
            self._initial = weights
            self._known.clear()
            self._batches.clear()
            self.turns.clear()


def _same(one: set[int], other: set[int]) -> bool:
    return len(one & other) >= _SAME * len(one | other)


def few_weights(model: nn.Module) -> torch.Tensor | None:
    """Some elements of a model's matrices, None where it has none that can be read."""
    held = [p for p in model.parameters() if plain(p) and p.requires_grad and p.dim() > 1]
    sizes = [p for p in held if p.numel() and p.device == held[0].device][:_TENSORS]
    with unseen():
        taken = [few_of(p, _ELEMENTS)[:_ELEMENTS].float() for p in sizes]
        return torch.cat(taken) if taken else None
