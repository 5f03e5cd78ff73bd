"""What watching costs: CPU time of steps with and without it, in turn, as ratios.

    python benchmarks/overhead.py [MODEL ...]

Processes train the same model, two plain and one watched. They are told in turn to run some steps
(A B C C B A ...), so that a machine that slows down slows all; and they are made anew some times,
for processes that are alike differ in speed, the more the smaller the step. Printed per model, as
medians over these: the plain step, *idle* (ratio of the median step: hooks in place, nothing
measured), *default* (ratio of whole blocks, measured steps included), plain against itself (the
noise), and what the first 20 steps cost more, once.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from models import MODELS

ROUNDS = 6  # sets of processes
BLOCKS = 4  # blocks of steps of each
BLOCK_S = 1.0  # of plain CPU time a block, about


def worker(name: str, *, watched: bool) -> None:
    """Train; run as many steps as each line of stdin says, and answer with their CPU times."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    observer = None
    if watched:
        from torchdx.events.recorder import Recorder
        from torchdx.observer import Observer
        from torchdx.record.writer import Writer

        folder = tempfile.mkdtemp()
        observer = Observer(Recorder(Writer(Path(folder) / "run.dx")))
        observer.start()
    model, x, y = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    criterion = nn.CrossEntropyLoss()
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.process_time()
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            times.append(time.process_time() - began)
        print(json.dumps(times), flush=True)
    if observer is not None:
        observer.finish()


class Trainer:
    """A worker process."""

    def __init__(self, name: str, kind: str) -> None:
        call = [sys.executable, __file__, "worker", name, kind]
        self.process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, steps: int) -> list[float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        times: list[float] = json.loads(self.process.stdout.readline())
        return times

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(name: str) -> dict[str, float]:
    """All ratios of one model: medians over rounds."""
    rounds = [one_round(name) for _ in range(ROUNDS)]
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def one_round(name: str) -> dict[str, float]:
    """The ratios that one set of processes gives."""
    plain, again, watched = (Trainer(name, kind) for kind in ("plain", "plain", "watched"))
    first = {t: sum(t.run(20)) for t in (plain, again, watched)}
    steps = max(5, int(BLOCK_S / (first[plain] / 20)))
    rows = []
    for block in range(BLOCKS):
        order = (plain, watched, again) if block % 2 else (again, watched, plain)
        times = {t: t.run(steps) for t in order}
        rows.append((times[plain], times[again], times[watched]))
    for trainer in (plain, again, watched):
        trainer.close()
    median = statistics.median
    return {
        "step_ms": 1e3 * median(t for a, _, _ in rows for t in a),
        "idle": median(median(w) / median(a) for a, _, w in rows),
        "default": median(sum(w) / sum(a) for a, _, w in rows),
        "noise": median(sum(b) / sum(a) for a, b, _ in rows),
        "first_20_s": first[watched] - first[plain],
    }


def main() -> None:
    """Print the table, or be one of its workers."""
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2], watched=sys.argv[3] == "watched")
        return
    print("model      plain step   idle   default   plain/plain   first 20 steps")
    for name in sys.argv[1:] or MODELS:
        r = measure(name)
        print(
            f"{name:9} {r['step_ms']:8.1f} ms  {r['idle']:6.3f}  {r['default']:7.3f}  "
            f"{r['noise']:11.3f}   +{r['first_20_s']:.2f} s"
        )


if __name__ == "__main__":
    main()
