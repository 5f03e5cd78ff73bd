"""torchdx finds out why a neural network does not learn, and shows the evidence.

>>> import torchdx as dx
>>> dx.__version__
'0.1.0'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchdx.checkups.checkup import Checkup as Checkup
    from torchdx.checkups.checkup import checkup as checkup
    from torchdx.notebook import Watch as Watch
    from torchdx.notebook import watch as watch

__version__ = "0.1.0"
__all__ = ["Checkup", "Watch", "__version__", "checkup", "watch"]

_HOMES = {
    "Checkup": "torchdx.checkups.checkup",
    "Watch": "torchdx.notebook",
    "checkup": "torchdx.checkups.checkup",
    "watch": "torchdx.notebook",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for: `torchdx run` must not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'torchdx' has no attribute {name!r}"
    raise AttributeError(msg)
