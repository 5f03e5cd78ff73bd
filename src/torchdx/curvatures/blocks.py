"""Where the curvature sits: the diagonal block of the Hessian of each layer."""

import math
from dataclasses import dataclass

import torch

from torchdx.curvatures.lanczos import Product
from torchdx.curvatures.local import Local
from torchdx.curvatures.results import Interval, Loss, Result, Spent, lines
from torchdx.curvatures.spectrum import LEVEL
from torchdx.errors import CallError


@dataclass(frozen=True)
class Block:
    """One layer: its size, both ends of its block's spectrum, its share of the top direction.

    gradient  norm of the gradient in it
    """

    name: str
    parameters: int
    highest: Interval
    lowest: Interval
    share: float
    gradient: float


@dataclass(frozen=True, repr=False)
class Blocks(Result):
    """All blocks, in the order of the model; each is part of the Hessian, none can exceed it."""

    blocks: tuple[Block, ...]
    about: Loss
    spent: Spent

    def __str__(self) -> str:
        rows = {
            b.name: f"highest {b.highest}, lowest {b.lowest}, {b.share:.0%} of the top direction"
            for b in self.blocks
        }
        return lines("curvature by layer", rows, self.about, self.spent)


def blocks(
    local: Local,
    by: str = "layer",
    *,
    tol: float = 0.05,
    products: int = 20,
    level: float = LEVEL,
) -> Blocks:
    """The spectrum's ends of each diagonal block.

    Args:
        local: the loss near the weights.
        by: "layer" (parameters of one module) or "parameter".
        tol: of each block's largest eigenvalue, relative.
        products: for each block at most.
        level: of the bounds, (0, 1).
    """
    if by not in {"layer", "parameter"}:
        msg = f"blocks(by={by!r}): there are 'layer' and 'parameter'."
        raise CallError(msg)
    layout = local.objective.layout
    with local.counted() as spent:
        if not len(local.spectrum.krylov):
            local.spectrum.extremes(tol)
        top = local.spectrum.krylov.vector(len(local.spectrum.krylov.ritz().values) - 1)
        found = []
        for name, indices in layout.blocks(by).items():
            size = sum(layout.sizes[i] for i in indices)
            ends = local.spectrum_of(_product(local, indices), n=size).extremes(
                tol, products=products, level=level
            )
            share = _squares(top, layout.sizes, indices)
            slope = math.sqrt(_squares(local.gradient, layout.sizes, indices))
            found.append(Block(name, size, ends.highest, ends.lowest, share, slope))
    return Blocks(tuple(found), local.about(), spent())


def _product(local: Local, indices: list[int]) -> Product:
    return lambda vector: local.hessian.block(indices, vector)


def _squares(flat: torch.Tensor, sizes: list[int], indices: list[int]) -> float:
    parts = torch.split_with_sizes(flat, sizes)
    return sum(float(parts[i].double().square().sum()) for i in indices)
