"""Peak memory of one product above what the process held before, each in a process of its own.

python -m benchmarks.curvature.memory NET WAY
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import torchdx as dx
from benchmarks.curvature.nets import Case, case
from benchmarks.curvature.peers import Asked, available
from benchmarks.curvature.products import gradient_of
from benchmarks.curvature.table import PEERS, Row, within

ROOT = Path(__file__).parents[2]


def _now() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak() -> float:
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024 / 1e6


def _trim() -> None:
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def _work(of: Case, way: str) -> Callable[[], float]:
    """What is measured; gives what is still held afterwards, in MB."""
    vector = torch.randn(of.n)
    if way == "gradient":
        return lambda: 0.0 if gradient_of(of)() else 1.0
    if way in {"rebuilt", "retained"}:

        def ours() -> float:
            before = _now()
            c = dx.curvature(of.model, of.criterion, of.batch, method=way)
            c.hvp(vector)
            c.hvp(vector)
            c.release()
            _trim()
            return _now() - before

        return ours
    peer = available()[0][way]

    def theirs() -> float:
        times = peer.product(Asked(of.model, of.criterion, [of.batch]))
        times(vector)
        times(vector)
        return 0.0

    return theirs


def child(net: str, way: str) -> None:
    """Print peak and rest in MB."""
    torch.set_num_threads(1)
    of = case(net, steps=1)
    with torch.no_grad():
        of.loss()
    work = _work(of, way)
    _trim()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _now()
    held = work()
    print(f"{_peak() - before:.1f} {held:.1f}")


def _measured(net: str, way: str) -> tuple[float, float]:
    call = [sys.executable, "-W", "ignore", "-m", "benchmarks.curvature.memory", net, way]
    done = subprocess.run(call, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        return float("nan"), float("nan")
    peak, held = map(float, done.stdout.split()[-2:])
    return peak, held


def rows(net: str) -> Iterator[Row]:
    """Ours in both ways beside the peers."""
    if not Path("/proc/self/clear_refs").exists():
        yield Row("peak memory", net, "only measured on Linux")
        return
    peers, missing = available()
    ways = ["gradient", "rebuilt", "retained", *peers]
    peak = {way: _measured(net, way) for way in ways}
    limit = peak.get("eigenthings", peak["retained"])[0]
    yield Row(
        "peak memory of a product",
        net,
        f"rebuilt {peak['rebuilt'][0]:.0f} MB, retained {peak['retained'][0]:.0f} MB "
        f"(a gradient {peak['gradient'][0]:.0f} MB)",
        "rebuilt: at most that of eigenthings, 5% of noise",
        within((peak["rebuilt"][0], 1.05 * limit)),
        {name: f"{peak[name][0]:.0f} MB" for name in PEERS if name in peers} | missing,
    )
    share = peak["retained"][1] / peak["retained"][0]
    yield Row(
        "of it still held after release()",
        net,
        f"{peak['retained'][1]:.0f} MB",
        "at most a tenth",
        within((share, 0.1)),
    )


if __name__ == "__main__":
    child(*sys.argv[1:])
