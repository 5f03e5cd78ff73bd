"""Asks the model that an arm has made for the rows that it trained on, all arms alike.

At steps spread over the run, the batch, and how its answer became a loss, are kept. When the run is
over, the model answers these batches once more: with its final weights, in evaluation mode, as it
would be used. What it is held against is what the loss was held against.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from torchdx.events.glimpse import Glimpse
from torchdx.events.sampling import Quiet
from torchdx.probes.restoring import precision
from torchdx.probes.subject import Loss, rebuild_loss
from torchdx.trials import by_hand
from torchdx.trials.scores import Answers, answers_of, scores

ROWS = 4096  # enough: their mean is known to 1.6 points at worst


@dataclass(frozen=True)
class _Kept:
    """One batch: the model and what it was called with, and from its answer to the loss."""

    model: nn.Module
    args: Any
    kwargs: Any
    loss: Loss
    autocast: tuple[str, torch.dtype] | None


class Examiner(Quiet):
    """Keeps the batches of some steps, and examines the model on them."""

    def __init__(self, steps: Iterable[int]) -> None:
        self._steps = frozenset(steps)
        self._kept: dict[int, _Kept] = {}
        self._training: list[Answers] = []

    def wants(self, step: int) -> bool:
        """Whether a step's batch is to be kept."""
        return step in self._steps

    def learning(self, glimpse: Glimpse) -> None:
        """Keep the batch of a step, the first that has a loss which can be computed again."""
        if glimpse.step not in self._steps or glimpse.step in self._kept:
            return
        if glimpse.head is not None:
            self._training.append(answers_of(glimpse.head))
        for call in glimpse.calls:
            if call.follows:
                continue
            loss = rebuild_loss(call.output, glimpse.root)
            if loss is not None:
                args, kwargs = pytree.tree_map(_copied, (call.args, dict(call.kwargs)))
                self._kept[glimpse.step] = _Kept(call.model, args, kwargs, loss, call.autocast)
                return

    def examine(self) -> dict[str, float]:
        """Scores by name: of its final answers, and of those while training.

        The latter, with the weights of the time, serve where an arm has no others. Names and units:
        `torchdx.trials.scores`.
        """
        found = [answer for kept in self._kept.values() if (answer := _asked(kept)) is not None]
        late = self._training[len(self._training) // 2 :]
        return {**scores("training", late), **scores("rows", found)}


def _asked(kept: _Kept) -> Answers | None:
    modes = [(module, module.training) for module in kept.model.modules()]
    kept.model.eval()
    try:
        with torch.enable_grad(), precision(kept.autocast):
            answer = kept.model(*kept.args, **kept.kwargs)
            root = kept.loss(answer)
            head = by_hand.read(root, answer)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError):
        return None
    finally:
        for module, training in modes:
            module.training = training
    if head is None:
        return Answers("loss", torch.tensor([float(root.detach())]), torch.zeros(1))
    return answers_of(head)


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
