"""How large the record of a long run of a deep net becomes.

    python benchmarks/record_size.py              10,000 steps of 100 layers
    python benchmarks/record_size.py 2000 30      so many steps of so many layers

Prints steps, layers, megabytes, samples, and the seconds that a reader takes.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from torchdx.record.reader import read

PROGRAM = """
import sys, torch
from torch import nn
torch.manual_seed(0)
steps, layers = map(int, sys.argv[1:])
net = nn.Sequential(*(m for _ in range(layers // 2) for m in (nn.Linear(8, 8), nn.Tanh())))
x, y = torch.randn(256, 8), torch.randn(256, 8)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(steps):
    at = torch.randint(256, (16,))
    optimizer.zero_grad()
    nn.functional.mse_loss(net(x[at]), y[at]).backward()
    optimizer.step()
"""


def recorded(folder: str, steps: int, layers: int) -> Path:
    """The record of such a run."""
    script, record = Path(folder, "deep.py"), Path(folder, f"{steps}x{layers}.dx")
    script.write_text(PROGRAM)
    call = [sys.executable, "-m", "torchdx", "run", "-q", "--record", str(record), str(script)]
    subprocess.run([*call, str(steps), str(layers)], check=True, cwd=folder)
    return record


def main() -> None:
    """Run, and print one line."""
    steps, layers = (int(word) for word in (sys.argv[1:3] or ("10000", "100")))
    with tempfile.TemporaryDirectory() as folder:
        record = recorded(folder, steps, layers)
        size = record.stat().st_size / 1e6
        began = time.perf_counter()
        told = read(record)
        took = time.perf_counter() - began
    samples = max(len(series) for series in told.signals["activation.std"].values())
    share = told.end["spent_s"] / told.end["elapsed_s"]
    print(
        f"{told.steps} steps, {layers} layers: {size:.2f} MB, {samples} samples in full, "
        f"{share:.1%} of {told.end['elapsed_s']:.0f} s in hooks, read in {took:.2f} s"
    )


if __name__ == "__main__":
    main()
