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
    from torchdx.curvatures.curvature import Curvature as Curvature
    from torchdx.curvatures.curvature import curvature as curvature
    from torchdx.curvatures.spectrum import spectrum as spectrum
    from torchdx.notebook import Watch as Watch
    from torchdx.notebook import watch as watch

__version__ = "0.1.0"
__all__ = [
    "Checkup",
    "Curvature",
    "Watch",
    "__version__",
    "checkup",
    "curvature",
    "spectrum",
    "watch",
]

_HOMES = {
    "Checkup": "torchdx.checkups.checkup",
    "Curvature": "torchdx.curvatures.curvature",
    "Watch": "torchdx.notebook",
    "checkup": "torchdx.checkups.checkup",
    "curvature": "torchdx.curvatures.curvature",
    "spectrum": "torchdx.curvatures.spectrum",
    "watch": "torchdx.notebook",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for: `torchdx run` must not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'torchdx' has no attribute {name!r}"
    raise AttributeError(msg)
