"""The cross-entropy in place of a loss that only looks like it.

`nll_loss` is given log-probabilities: the logarithm of what already are probabilities, the
log-softmax of scores. A squared error on one-hot rows becomes the cross-entropy of the same
answers: of their logarithm where they are probabilities. One output for the number of a class
cannot be changed from here: the net would have to be another.
"""

from typing import Any

import torch
from torch.nn import functional

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.differences import Difference, differences
from torchdx.treatments.made_by import made_by
from torchdx.treatments.site import Site
from torchdx.treatments.undo_sigmoid import as_logits
from torchdx.treatments.undo_softmax import are_probabilities, as_scores

SQUARED = frozenset({"mse_loss", "smooth_l1_loss", "huber_loss"})
NORMAL = 0.01  # how far the logarithm of a row's summed exponentials may be from 0


def log_probabilities(given: torch.Tensor) -> torch.Tensor:
    """Log-probabilities over dimension 1 of what a model answers: (rows, classes, ...).

    Probabilities give their logarithm, log-probabilities themselves, all else its log-softmax; what
    comes from a sigmoid is taken back to the scores before it.
    """
    dim = 1 if given.dim() > 1 else 0
    if made_by(given, "Sigmoid"):
        return functional.log_softmax(as_logits(given), dim)
    if are_probabilities(given):
        return as_scores(given)
    with torch.no_grad():
        normal = bool(torch.logsumexp(given, dim).abs().max() < NORMAL)
    return given if normal else functional.log_softmax(given, dim)


def is_one_hot(target: torch.Tensor) -> bool:
    """Whether a target (rows, classes) has one 1 a row among zeros, of three classes or more."""
    if target.dim() != 2 or target.shape[1] < 3:  # noqa: PLR2004  # two outputs may be two tasks
        return False
    with torch.no_grad():
        binary = bool(((target == 0) | (target == 1)).all())
        return binary and bool((target.sum(1) == 1).all())


@treatment("cross_entropy", redefines=True)
def install(site: Site, prescription: Prescription) -> None:
    """For `nll_loss`, for squared errors of torch's, and for those written by hand."""
    del prescription

    def around(name: str, original: Any, arguments: dict[str, Any]) -> torch.Tensor:
        given, target = arguments["input"], arguments["target"]
        if name == "nll_loss":
            wanted = log_probabilities(given)
            if wanted is not given:
                site.done()
            arguments["input"] = wanted
        averaged = arguments.get("reduction", "mean") == "mean"
        if name in SQUARED and averaged and given.shape == target.shape and is_one_hot(target):
            site.done()
            return functional.nll_loss(log_probabilities(given), target.argmax(1))
        loss: torch.Tensor = original(**arguments)
        return loss

    site.losses(around)
    _by_hand(site)


def _by_hand(site: Site) -> None:
    """`((answers - one_hot) ** 2).mean()`: known again by its value, replaced before backward."""
    last: list[Difference] = []

    def seen(difference: Difference) -> None:
        if difference.given.requires_grad and is_one_hot(difference.target):
            last[:] = [difference]

    def before(root: torch.Tensor) -> torch.Tensor | None:
        pair = last.pop() if last else None
        if pair is None or not _is_mean_square(root, pair):
            return None
        site.done()
        return functional.nll_loss(log_probabilities(pair.given), pair.target.argmax(1))

    differences(site, seen)
    site.before_backward(before)


def _is_mean_square(root: torch.Tensor, pair: Difference) -> bool:
    with torch.no_grad():
        square = (pair.given - pair.target) ** 2
        known = torch.stack([square.mean(), square.sum(1).mean()])
        return bool(torch.isclose(known, root.to(known.dtype), rtol=1e-4).any())
