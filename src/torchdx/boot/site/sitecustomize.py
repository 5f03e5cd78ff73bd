"""Python runs this at the start of every interpreter that a watched program starts.

It takes its own folder off the path, runs the `sitecustomize` that it stands in front of, and
begins to observe. Without torchdx in that interpreter, it does nothing.
"""

import importlib.util
import os
import sys
from importlib.machinery import PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]

_shadowed = PathFinder.find_spec("sitecustomize")
if _shadowed is not None and _shadowed.loader is not None:
    sys.modules["sitecustomize"] = importlib.util.module_from_spec(_shadowed)
    _shadowed.loader.exec_module(sys.modules["sitecustomize"])

if "TORCHDX_RECORD" in os.environ:
    try:
        from torchdx.boot.session import begin_in_child
    except ImportError:
        pass  # another interpreter, without torchdx: nothing to observe with
    else:
        begin_in_child()
