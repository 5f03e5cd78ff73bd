"""Records for tools that other people keep: one exporter a file, fed from the same rows."""

import importlib
from typing import cast

from torchdx.integrations.exporting import Exporter

TARGETS = ("tensorboard", "mlflow", "wandb", "csv", "parquet")


def exporter(target: str) -> Exporter:
    """The exporter of one of `TARGETS`; what it needs is imported when it writes."""
    module = importlib.import_module(f"torchdx.integrations.to_{target}")
    return cast("Exporter", module)
