"""The same question for every arm, however its loss puts it.

A treatment may ask for the same thing by another loss: labels by a cross-entropy in place of a
squared error, several labels a row by sigmoids in place of a softmax. What an arm answers is taken
as an answer to what the targets are.
"""

import torch

from torchdx.graph.heads import Kind

TIED = 0.1  # of rows with several equal shares: they have several labels, as L21 has it
ROUNDING = 0.01  # by which shares may miss one
LEAST = 0.01  # that a share read from an output which is none counts as
CODES = 2  # of no and yes
EDGE = 1e-3  # beyond 0 and 1, by which an answer to yes or no is none

Asked = tuple[Kind, torch.Tensor, torch.Tensor]


def alike(kind: Kind, given: torch.Tensor, target: torch.Tensor) -> Asked:
    """What is asked for and what was answered, by what the targets are.

    Args:
        kind: of the loss; `given`, `target`: as `torchdx.trials.scores.Answers` has them.
        given: (rows, outputs).
        target: (rows,) for `classes`, else (rows, outputs).

    Returns:
        `soft` targets as shares of one; those with several labels a row as `units`; `units` that
        are a quantity, and `values` that are one of several classes, as what they are; two codes
        of `units`, whatever their numbers, as no and yes.
    """
    if kind == "soft":
        target = _shares(target)
        if _several(target):
            return "units", given.exp(), (target > 0).to(target.dtype)
    if kind == "units" and bool(((target < -EDGE) | (target > 1 + EDGE)).any()):
        codes = torch.unique(target)
        if len(codes) == CODES and target.numel() >= 2 * CODES:  # quantities hardly repeat so
            return "units", given, (target == codes[1]).to(target.dtype)
        return "values", given, target
    if kind == "values" and _one_hot(target):
        shares = given.clamp_min(LEAST)
        normal = bool((given >= 0).all() and ((given.sum(1) - 1).abs() < ROUNDING).all())
        chances = given.clamp_min(1e-38) if normal else shares / shares.sum(1, keepdim=True)
        return "classes", chances.log(), target.argmax(1)
    return kind, given, target


def _shares(target: torch.Tensor) -> torch.Tensor:
    if bool((target < -ROUNDING).any()):
        return torch.softmax(target, 1)
    sums = target.sum(1, keepdim=True)
    return target / torch.where(sums > 0, sums, torch.ones_like(sums))


def _several(shares: torch.Tensor) -> bool:
    """Whether many rows have two greatest shares or more, equal, and nothing else."""
    greatest = shares.max(1, keepdim=True).values
    tied = (shares - greatest).abs() < EDGE
    only = (tied | (shares.abs() < EDGE)).all(1)
    several = only & (tied.sum(1) > 1) & (tied.sum(1) < shares.shape[1])
    return bool(several.double().mean() >= TIED)


def _one_hot(target: torch.Tensor) -> bool:
    if target.dim() != 2 or target.shape[1] < 3:  # noqa: PLR2004
        return False
    binary = bool(((target == 0) | (target == 1)).all())
    return binary and bool((target.sum(1) == 1).all())
