"""torchdx finds out why a neural network does not learn, and shows the evidence.

>>> import torchdx as dx
>>> dx.__version__
'0.1.0'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchdx.notebook import Watch as Watch
    from torchdx.notebook import watch as watch

__version__ = "0.1.0"
__all__ = ["Watch", "__version__", "watch"]

_HOMES = {"Watch": "torchdx.notebook", "watch": "torchdx.notebook"}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for: `torchdx run` must not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'torchdx' has no attribute {name!r}"
    raise AttributeError(msg)
