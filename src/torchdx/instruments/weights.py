"""Measures weights themselves: how alike the units of a layer are, and how large they stand.

Signals, one place a weight of two or more dimensions, before steps `AT`:

weight.alike   share of its units (rows) whose incoming weights equal another unit's, element by
               element
weight.gain    root mean square of its elements times the root of the inputs of a unit: 1 keeps the
               size of independent inputs, the root of 2 that behind ReLU (He et al. 2015, section
               2.2)
"""

import torch
from torch import nn

from torchdx.events.glimpse import Glimpse
from torchdx.events.recorder import Recorder
from torchdx.events.sampling import Quiet
from torchdx.graph.names import Names
from torchdx.instruments.tensors import unseen

AT = frozenset({1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024})
MAX_WEIGHTS = 200
MAX_ROWS, MAX_COLUMNS = 2_048, 4_096  # of a weight that are compared


class Weights(Quiet):
    """Looks at the weights of the models that were called."""

    def __init__(self, recorder: Recorder, names: Names) -> None:
        self._recorder, self._names = recorder, names
        self._seen: set[tuple[int, str]] = set()

    def learned(self, glimpse: Glimpse) -> None:
        """Measure before a step of the list."""
        if glimpse.step not in AT:
            return
        alike, gain = {}, {}
        for name, weight in _weights(glimpse, self._names):
            if (glimpse.step, name) not in self._seen:
                self._seen.add((glimpse.step, name))
                with unseen():
                    alike[name], gain[name] = _alike(weight), _gain(weight)
        self._recorder.signals(glimpse.step, {"weight.alike": alike, "weight.gain": gain})


def _weights(glimpse: Glimpse, names: Names) -> list[tuple[str, nn.Parameter]]:
    found: dict[str, nn.Parameter] = {}
    for call in glimpse.calls:
        for parameter in call.model.parameters():
            usable = parameter.dim() > 1 and parameter.numel() and parameter.requires_grad
            name = names.of(parameter) if usable and parameter.is_floating_point() else None
            if name is not None and type(parameter) is nn.Parameter and not parameter.is_meta:
                found[name] = parameter
    return list(found.items())[:MAX_WEIGHTS]


def _alike(weight: nn.Parameter) -> float:
    rows = weight.detach().reshape(len(weight), -1)[:MAX_ROWS, :MAX_COLUMNS]
    if len(rows) < 2:  # noqa: PLR2004  # nothing to be like
        return 0.0
    _, counts = torch.unique(rows, dim=0, return_counts=True)
    return float(counts[counts > 1].sum()) / len(rows)


def _gain(weight: nn.Parameter) -> float:
    """The root mean square element times root fan-in: the norm over the root of the units."""
    norm = float(torch.linalg.vector_norm(weight.detach().float()))
    return norm / float(len(weight) ** 0.5)
