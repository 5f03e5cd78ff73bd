"""Attributes set where nothing reads them: a module's `requires_grad`, an optimizer's `lr`."""

import weakref
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from torchdx.events.models import Models
from torchdx.events.recorder import Recorder

_RATES = ("lr", "learning_rate")  # what the groups call `lr`
_NAMED = 2_000  # parameters of a module that are named


@dataclass(frozen=True)
class _Unnamed:
    """A setting on a module of which nothing is known yet, such as one of a copied model."""

    module: "weakref.ref[nn.Module]"
    facts: dict[str, Any]
    line: int
    step: int


class Knobs:
    """Notes each setting, with what the setting that counts was at that moment."""

    def __init__(self, recorder: Recorder, models: Models) -> None:
        self._recorder, self._models = recorder, models
        self._read: set[tuple[str, str]] = set()
        self._unnamed: list[_Unnamed] = []

    def set(self, thing: Any, name: str, value: Any) -> None:
        """`thing.name = value`, by the user's program on an object of torch's own classes."""
        ours = isinstance(thing, nn.Module) or type(thing).__module__.startswith("torch.")
        line = self._recorder.frames.here()
        if line is None or not ours:
            return
        facts: dict[str, Any] = {
            "cls": type(thing).__name__,
            "name": name,
            "value": f"{value:.6g}" if isinstance(value, float) else str(value)[:60],
        }
        if isinstance(thing, nn.Module):
            held = list(thing.parameters())
            facts["parameters"] = len(held)
            facts["trainable"] = sum(p.requires_grad for p in held)
            kept = _Unnamed(weakref.ref(thing), facts, line, self._recorder.steps)
            if self._unnamed or any(self._models.names.of(p) is None for p in held[:_NAMED]):
                self._unnamed.append(kept)
            else:
                self._tell(kept)
            return
        if isinstance(thing, Optimizer):
            facts["real"] = str(thing.param_groups[0].get("lr" if name in _RATES else name))
        self._recorder.event("knob", line=line, **facts)

    def settle(self) -> None:
        """Names have become known: tell what waits for them, in the order in which it was set."""
        waiting, self._unnamed = self._unnamed, []
        for each in waiting:
            self._tell(each)

    def _tell(self, setting: _Unnamed) -> None:
        module = setting.module()
        if module is None:
            return
        held = list(module.parameters())[:_NAMED]
        named = {
            "model": self._models.names.path(module),
            "params": [self._models.label(p) for p in held],
        }
        where = {"step": setting.step, "line": setting.line}
        self._recorder.emit({"e": "event", "kind": "knob", **where, "facts": setting.facts | named})

    def read(self, thing: Any, name: str) -> None:
        """Such an attribute is read after all, by the program itself."""
        line = self._recorder.frames.here()
        key = (type(thing).__name__, name)
        if line is not None and key not in self._read:
            self._read.add(key)
            self._recorder.event("knob-read", line=line, cls=key[0], name=name)
