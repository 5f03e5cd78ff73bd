"""Notices, in the first steps only, where a tensor with history leaves the graph.

A cut leaves no node behind, so that it can be seen only while it happens. For the first steps,
the methods of `torch.Tensor` that end a history are replaced; a compiled program runs these steps
eagerly.
"""

import functools
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch

from torchdx.events.frames import Frames
from torchdx.events.patches import Patches
from torchdx.events.recorder import Recorder
from torchdx.graph.names import Names

# method -> what the record calls it
METHODS = {
    **dict.fromkeys(["detach", "detach_"], "detach"),
    **dict.fromkeys(["numpy", "__array__"], "numpy"),
    **dict.fromkeys(["item", "tolist", "__float__", "__int__"], "item"),
    **dict.fromkeys(["argmax", "argmin"], "argmax"),
    **dict.fromkeys(["gt", "ge", "lt", "le", "__gt__", "__ge__", "__lt__", "__le__"], "compare"),
    **dict.fromkeys(["long", "int", "bool"], "cast"),
}

# (tensor, operation, line) of each cut on a tensor that has a history
Seen = Callable[[torch.Tensor, str, int | None], None]


class Cuts:
    """Replaced methods of `torch.Tensor`, for a while."""

    def __init__(self, frames: Frames, seen: Seen) -> None:
        self._frames = frames
        self._seen = seen
        self._patches = Patches()
        self._last: tuple[int | None, torch.Tensor | None] = (None, None)

    def start(self) -> None:
        """Begin to notice."""
        for name, operation in METHODS.items():
            self._patches.replace(torch.Tensor, name, self._method(operation))
        original: Any = torch.Tensor.data
        noticing = property(self._data(original), original.__set__)
        self._patches.replace(torch.Tensor, "data", lambda _: noticing)

    def stop(self) -> None:
        """Put torch's own methods back."""
        self._patches.undo()
        self._last = (None, None)

    def _method(self, operation: str) -> Callable[[Any], Any]:
        def make(original: Any) -> Any:
            @functools.wraps(original)
            def noticing(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
                if torch.is_grad_enabled() or operation == "numpy":
                    self._notice(tensor, operation)
                return original(tensor, *args, **kwargs)

            return noticing

        return make

    def _data(self, original: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        def get(tensor: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled():
                self._notice(tensor, "data")
            found: torch.Tensor = original.__get__(tensor)
            return found

        return get

    def _notice(self, tensor: torch.Tensor, operation: str) -> None:
        if torch.compiler.is_compiling():
            return
        caller = sys._getframe(2).f_code.co_filename
        if not self._frames.is_user(caller):
            return
        if not tensor.requires_grad:
            line, whole = self._last
            if operation == "numpy" and whole is not None and line == self._frames.here():
                self._seen(whole, "numpy", line)
            return
        line = self._frames.here()
        self._last = (line, tensor)
        self._seen(tensor, operation, line)


BY_HAND_AFTER = 8  # optimizer steps before it is asked what has changed without them
_FEW = 64  # elements of a parameter that are compared


class ByHand:
    """Parameters behind a cut that change though no gradient comes to them.

    Codebooks and averages are cut off on purpose: the program itself moves them.
    """

    def __init__(self, recorder: Recorder, names: Names) -> None:
        self._recorder, self._names = recorder, names
        self._kept: dict[int, tuple[weakref.ref[Any], torch.Tensor]] = {}
        self._looked = False

    def behind(self, leaves: Iterable[torch.Tensor]) -> None:
        """These stand behind a cut."""
        for leaf in leaves if not self._looked else ():
            if id(leaf) not in self._kept:
                self._kept[id(leaf)] = weakref.ref(leaf), _few(leaf).clone()

    def look(self) -> None:
        """Write down which have moved by now; once."""
        kept, self._kept, self._looked = self._kept.values(), {}, True
        alive = [(reference(), before) for reference, before in kept]
        still = [(p, before) for p, before in alive if p is not None and p.grad is None]
        moved = [p for p, before in still if self._replaced(p) or not torch.equal(_few(p), before)]
        names = sorted(filter(None, map(self._names.of, moved)))
        if names:
            self._recorder.event("moved-by-hand", params=names)

    def _replaced(self, parameter: torch.Tensor) -> bool:
        """Whether its module has put another in its place."""
        owner = self._names.owner(parameter)
        return owner is not None and all(p is not parameter for p in owner._parameters.values())


def _few(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.detach().reshape(-1)[:_FEW]
