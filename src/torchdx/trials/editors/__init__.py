"""How prescriptions are written into the user's lines: one file a family of changes."""

from torchdx.trials.editors import loop, loss, settings

__all__ = ["loop", "loss", "settings"]
