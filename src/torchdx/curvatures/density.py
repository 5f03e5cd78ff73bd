"""The distribution of eigenvalues by stochastic Lanczos quadrature.

Each start gives the nodes and weights of a Gauss rule: Ritz values, and the squared first
components of their vectors. With a start uniform on the sphere the rule's mean is the spectral
measure.

Sources: Ubaru, Chen and Saad 2017 (SIMAX 38); Ghorbani et al. 2019 for nets.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from torchdx.curvatures.lanczos import Krylov
from torchdx.curvatures.results import Loss, Result, Spent, lines, short

_BARS = " ▁▂▃▄▅▆▇█"
_COLUMNS = 48
_SHARPNESS = 40  # kernels to the range


@dataclass(frozen=True, repr=False)
class Density(Result):
    """Point masses that stand for the spectrum.

    nodes, weights  eigenvalues and their shares, ascending; the shares sum to 1
    negative        share of the eigenvalues below 0, `near_zero` within 1% of the radius of 0
    starts          random vectors that it is the mean of
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    negative: float
    near_zero: float
    starts: int
    about: Loss
    spent: Spent

    def grid(
        self, points: int = 200, width: float | None = None
    ) -> tuple[list[float], list[float]]:
        """A smooth density for drawing: places and values.

        Args:
            points: how many.
            width: standard deviation of the normal kernel; 1/40 of the range by default.
        """
        nodes = torch.tensor(self.nodes, dtype=torch.float64)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        reach = float(nodes[-1] - nodes[0]) or max(abs(float(nodes[0])), 1.0)
        sigma = width or reach / _SHARPNESS
        ends = float(nodes[0]) - 3 * sigma, float(nodes[-1]) + 3 * sigma
        places = torch.linspace(*ends, points, dtype=torch.float64)
        kernel = torch.exp(-0.5 * ((places[:, None] - nodes) / sigma) ** 2)
        values = (kernel * weights).sum(1) / (sigma * math.sqrt(2 * math.pi))
        return places.tolist(), values.tolist()

    def __str__(self) -> str:
        rows = {
            "range": f"{short(self.nodes[0])} to {short(self.nodes[-1])}",
            "log density": _drawn(self.grid(_COLUMNS)[1]),
            "below 0": f"{self.negative:.1%} of the eigenvalues, near 0 {self.near_zero:.1%}",
            "starts": str(self.starts),
        }
        return lines("density of eigenvalues", rows, self.about, self.spent)


def density_of(
    bases: Sequence[Krylov], n: int
) -> tuple[tuple[float, ...], tuple[float, ...], float, float, int]:
    """Nodes, weights, share below 0, share near 0, starts."""
    pairs: list[tuple[float, float]] = []
    for basis in bases:
        ritz = basis.ritz()
        found = zip(ritz.values, ritz.weights, strict=True)
        if len(basis) >= n:
            found = zip(ritz.values, [1 / n] * n, strict=True)
        pairs += [(value, weight / len(bases)) for value, weight in found]
    pairs.sort()
    nodes, weights = zip(*pairs, strict=True)
    slack = max(basis.rounding for basis in bases)
    near = 0.01 * max(map(abs, nodes))
    negative = math.fsum(w for v, w in pairs if v < -slack)
    around = math.fsum(w for v, w in pairs if abs(v) <= near)
    return nodes, weights, negative, around, len(bases)


def _drawn(values: Sequence[float]) -> str:
    """Bars on a logarithmic scale of four decades."""
    top = max(values)
    heights = [max(0.0, 1 + math.log10(max(v / top, 1e-9)) / 4) if top else 0.0 for v in values]
    return "".join(_BARS[round(h * (len(_BARS) - 1))] for h in heights)
