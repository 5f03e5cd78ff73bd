"""torchdx's own instruments, for a study that measures a network: a record that is not kept."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from torchdx.notebook import Watch, watch


@contextmanager
def watched(model: nn.Module, optimizer: Optimizer) -> Iterator[Watch]:
    """Observe the training in the block as `dx.watch` does, in silence.

    with watched(model, optimizer) as run:
        train()
    run.record.series("activation.std", "1")

    The first 20 steps are measured in full; the file of the record is gone behind the block.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.dx"
        with watch(model, optimizer, record=path, quiet=True) as run:
            yield run
