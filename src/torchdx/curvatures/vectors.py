"""Parameters as one flat vector, and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import torch


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a flat vector of `size` numbers.

    names, shapes   of the parameters, in their order
    dtype, device   of flat vectors
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, names: Sequence[str], parameters: Sequence[torch.Tensor]) -> "Layout":
        """The layout of some parameters; the widest of their dtypes is that of flat vectors."""
        dtypes = tuple(p.dtype for p in parameters)
        widest = reduce(torch.promote_types, dtypes)
        shapes = tuple(p.shape for p in parameters)
        return cls(tuple(names), shapes, dtypes, widest, parameters[0].device)

    @cached_property
    def sizes(self) -> list[int]:
        """How many numbers each parameter has."""
        return [shape.numel() for shape in self.shapes]

    @cached_property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(self.sizes)

    def flat(self, parts: Iterable[torch.Tensor]) -> torch.Tensor:
        """One vector (size,) of its own memory."""
        return torch.cat([p.reshape(-1) for p in parts]).detach().to(self.dtype)

    def pieces(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Views of a vector (size,) in the parameters' shapes and dtypes."""
        parts = zip(torch.split_with_sizes(flat, self.sizes), self.shapes, self.dtypes, strict=True)
        return [part.view(shape).to(dtype) for part, shape, dtype in parts]

    def named(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """A vector's pieces by the name of the parameter."""
        return dict(zip(self.names, self.pieces(flat), strict=True))

    def blocks(self, by: str) -> dict[str, list[int]]:
        """Indices of parameters that belong together: by "layer" (the module) or "parameter"."""
        found: dict[str, list[int]] = {}
        for index, name in enumerate(self.names):
            home = name.rpartition(".")[0] or name if by == "layer" else name
            found.setdefault(home.replace(".parametrizations", ""), []).append(index)
        return found

    def shares(self, flat: torch.Tensor) -> dict[str, float]:
        """The share of each layer in a vector's squared length, [0, 1], largest first."""
        parts = torch.split_with_sizes(flat, self.sizes)
        squares = [float(part.double().square().sum()) for part in parts]
        total = sum(squares) or 1.0
        layers = self.blocks("layer").items()
        found = {name: sum(squares[i] for i in held) / total for name, held in layers}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def gaussian(
    size: int, dtype: torch.dtype, device: torch.device, generator: torch.Generator
) -> torch.Tensor:
    """Independent standard normal numbers, the same on every device."""
    return torch.randn(size, generator=generator, dtype=torch.float32).to(device, dtype)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    """Inner product, summed in double precision."""
    return float(torch.dot(a.double(), b.double()))


def length(a: torch.Tensor) -> float:
    """Euclidean length, summed in double precision."""
    return float(torch.linalg.vector_norm(a, dtype=torch.float64))
