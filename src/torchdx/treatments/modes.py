"""Turns a model's mode for the length of one call."""

from typing import Any

from torch import nn

from torchdx.treatments.site import Site


class Switch:
    """Sets the mode of all parts of a model, and puts back what it changed.

    training  the mode that calls are to have; `where`: the path of the model that is meant, or of
              a part of it; empty, or no model's: all
    """

    def __init__(self, site: Site, *, training: bool, where: str) -> None:
        self._site, self._training, self._where = site, training, where
        self._turned: list[nn.Module] = []

    def turn(self, model: nn.Module) -> None:
        """Before a call: only what has the other mode is touched."""
        if self._where and self._site.module(model, self._where) is None:
            return
        self.back(model, None)  # the call before it may have raised
        self._turned = [m for m in model.modules() if m.training is not self._training]
        for module in self._turned:
            module.training = self._training
        if any(not any(True for _ in m.children()) for m in self._turned):
            self._site.done()

    def back(self, _model: nn.Module, answer: Any) -> Any:
        """Behind it."""
        for module in self._turned:
            module.training = not self._training
        self._turned = []
        return answer
