"""The weights that are put back at the end are those of the best validation, by a copy of them."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from torchdx.record.model import Phase
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site


@dataclass
class Best:
    """The best state met until now; `look` is told of each that has been validated.

    score  accuracy, higher is better; where it is not known, minus the loss
    """

    score: float | None = None
    state: dict[str, Any] | None = None

    def look(self, model: nn.Module, score: float) -> None:
        """Keep a copy of the model's state if its score is the best."""
        if self.score is None or score > self.score:
            self.score, self.state = score, copy.deepcopy(model.state_dict())


def score_of(phase: Phase) -> float | None:
    """How good a validation was: its accuracy, else minus its loss."""
    if phase.accuracy is not None:
        return phase.accuracy
    return None if phase.loss is None else -phase.loss


@treatment("keep_best", judged_on="validation")
def install(site: Site, prescription: Prescription) -> None:
    """The state of the best of the first validation's data is loaded in place of another."""
    best = Best()
    seen, first = [0], [(0, 0)]
    models: dict[str, nn.Module] = {}

    def called(model: nn.Module, _args: Any, _kwargs: Any) -> None:
        models.setdefault(site.names.path(site.names.unwrap(model)), model)

    def look() -> None:
        phases = [] if site.record is None else site.record.phases
        for phase in phases[seen[0] :]:
            model, score = models.get(phase.model), score_of(phase)
            known = model is not None and phase.validation and score is not None
            if known and prescription.where in {"", phase.model}:
                first[0] = first[0] if any(first[0]) else (phase.loader, phase.rows)
                if first[0] == (phase.loader, phase.rows):
                    best.look(model, score)  # type: ignore[arg-type]
        seen[0] = len(phases)

    def before(_root: torch.Tensor) -> None:
        look()

    def loading(original: Any, model: nn.Module, state: Any, *args: Any, **kwargs: Any) -> Any:
        look()
        if best.state is not None and best.state.keys() == dict(state).keys():
            state = best.state
            site.done()
        return original(model, state, *args, **kwargs)

    site.before_model(called)
    site.before_backward(before)
    site.in_front(lambda: site.replace(nn.Module, "load_state_dict", loading))
