"""What an import costs over torch: CPU seconds and further packages, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.curvature.peers import FOLDER, KINDS, available
from benchmarks.curvature.table import Row, within

PROGRAM = """
import json, sys, time
import torch, torch.nn.attention, torch.utils.data, torch.distributed
sys.path.append({folder!r})
before = set(sys.modules)
began = time.process_time()
{what}
spent = time.process_time() - began
names = {{m.split(".")[0] for m in set(sys.modules) - before}}
known = {{m.split(".")[0] for m in before}} | set(sys.stdlib_module_names)
print(json.dumps([spent, sorted(n for n in names - known if not n.startswith("_"))]))
"""
TIMES = 3


def _cost(what: str, own: str) -> tuple[float, list[str]]:
    program = PROGRAM.format(folder=str(FOLDER), what=what)
    call = [sys.executable, "-W", "ignore", "-c", program]
    found = [
        json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
        for _ in range(TIMES)
    ]
    return median(f[0] for f in found), [name for name in found[0][1] if name != own]


def rows() -> Iterator[Row]:
    """Ours beside the peers'."""
    peers, missing = available()
    spent, more = _cost("import torchdx; torchdx.curvature", "torchdx")
    told = {}
    for kind in KINDS:
        if kind.name in peers:
            extra = " and scipy.sparse.linalg" * (kind.name == "curvlinops")
            what = f"import {kind.package}" + "; import scipy.sparse.linalg" * bool(extra)
            seconds, also = _cost(what, kind.package)
            told[kind.name] = f"{seconds:.2f} s, {len(also)} packages"
    yield Row(
        "import over torch",
        "-",
        f"{spent:.2f} s, {len(more)} packages{': ' + ', '.join(more) if more else ''}",
        "no further package",
        within((len(more), 0)),
        told | missing,
    )
