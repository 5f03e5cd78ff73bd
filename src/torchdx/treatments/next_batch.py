"""The batch that the loop has drawn, in place of one that was drawn before and is used again."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@treatment("next_batch", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """Inputs of the model, and targets of torch's losses, where a `DataLoader` deals pairs."""
    del prescription
    stale = _Stale(site)
    site.replace(DataLoader, "__iter__", stale.dealing)
    site.before_model(stale.called)
    site.losses(stale.judged)


class _Stale:
    """What was dealt last, and what the program used in the steps before."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._dealt: tuple[torch.Tensor, ...] = ()
        self._known: list[tuple[torch.Tensor, ...]] = []
        self._instead = False

    def dealing(self, original: Any, loader: Any) -> Iterator[Any]:
        inner = original(loader)
        if not torch.is_grad_enabled():
            return iter(inner)
        return self._followed(inner)

    def _followed(self, inner: Any) -> Iterator[Any]:
        for batch in inner:
            if isinstance(batch, tuple | list):
                self._keep(tuple(v for v in batch if isinstance(v, torch.Tensor)))
            yield batch

    def _keep(self, dealt: tuple[torch.Tensor, ...]) -> None:
        if self._dealt and not self._known:
            self._known.append(self._dealt)
        elif self._dealt:
            self._known[1:] = [self._dealt]
        self._dealt = dealt

    def _stale(self, value: Any) -> int | None:
        """Which part of an earlier batch a value is, and not of the one dealt last."""
        if not isinstance(value, torch.Tensor) or any(value is v for v in self._dealt):
            return None
        places = (i for batch in self._known for i, v in enumerate(batch) if v is value)
        place = next(places, None)
        return place if place is not None and place < len(self._dealt) else None

    def called(self, _model: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        places = [self._stale(value) for value in args]
        self._instead = any(place is not None for place in places)
        if not self._instead:
            return None
        self._site.done()
        new = (v if p is None else self._dealt[p] for v, p in zip(args, places, strict=True))
        return tuple(new), kwargs

    def judged(self, _name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        place = self._stale(arguments.get("target")) if self._instead else None
        if place is not None:
            arguments["target"] = self._dealt[place]
        loss: torch.Tensor = original(**arguments)
        return loss
