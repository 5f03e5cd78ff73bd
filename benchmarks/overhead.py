"""What watching costs: CPU time of steps with and without it, in turn, as ratios.

    python benchmarks/overhead.py [MODEL ...]

One process a model trains in blocks of steps, by turns watched and plain (all hooks taken away in
between): processes that are alike in all else differ in speed by a tenth and more, the more the
smaller the step. Printed per model: the plain step, *idle* (median step of a watched block against
that of the plain block beside it: hooks in place, nothing measured), *default* (the whole blocks,
measured steps included), plain blocks against their neighbours (the noise), each as the median over
blocks, and what the first 20 watched steps cost more, once.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from torchdx.events import hooks
from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from models import MODELS

BLOCKS = 24  # of each kind
BLOCK_S = 1.0  # of CPU time a block, about


def run(step: Callable[[], None], steps: int) -> list[float]:
    """CPU seconds of each of some steps."""
    times = []
    for _ in range(steps):
        began = time.process_time()
        step()
        times.append(time.process_time() - began)
    return times


def measure(name: str) -> dict[str, float]:
    """All ratios of one model."""
    torch.manual_seed(0)
    model, x, y = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

    run(step, 5)
    plain_20 = sum(run(step, 20))
    observer = Observer(Recorder(Writer(Path(tempfile.mkdtemp()) / "run.dx")))
    observer.start()
    watched_20 = sum(run(step, 20))
    steps = max(5, int(BLOCK_S / (plain_20 / 20)))
    plain, watched = [], []
    for _ in range(BLOCKS):
        watched.append(run(step, steps))
        observer.live = False
        observer._patches.undo()
        plain.append(run(step, steps))
        observer._patches = hooks.install(observer)
        observer.live = True
    observer.finish()
    median = statistics.median
    pairs = list(zip(watched, plain, strict=True))
    beside = list(zip(plain[1:], plain, strict=False))
    return {
        "step_ms": 1e3 * median(t for block in plain for t in block),
        "idle": median(median(w) / median(p) for w, p in pairs),
        "default": median(sum(w) / sum(p) for w, p in pairs),
        "noise": median(abs(sum(a) / sum(b) - 1) for a, b in beside),
        "first_20_s": watched_20 - plain_20,
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("model      plain step   idle   default   plain/plain   first 20 steps")
    for name in sys.argv[1:] or MODELS:
        r = measure(name)
        print(
            f"{name:9} {r['step_ms']:8.1f} ms  {r['idle']:6.3f}  {r['default']:7.3f}  "
            f"  +- {r['noise']:6.3f}   {r['first_20_s']:+.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
