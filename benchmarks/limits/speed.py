"""The studies behind the limits of the rules on speed: P02, P03, P04 (docs/limits.md).

    python benchmarks/limits/speed.py rows          what a DataLoader needs for a row in memory
    python benchmarks/limits/speed.py reads         what reads of values cost on a CPU
    python benchmarks/limits/speed.py noise         the noise scale of linear layers, and the exact
    python benchmarks/limits/speed.py batches       batches, noise scales and where runs ended
    python benchmarks/limits/speed.py runs DIR      the quantities of recorded runs, worst first

Records come from `python faults/scoreboard.py --records DIR`.
"""

import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from torchdx.events.recorder import Recorder
from torchdx.observer import Observer
from torchdx.record.model import Record
from torchdx.record.reader import read
from torchdx.record.writer import Writer
from torchdx.rules.speed import batch_against_noise as p04
from torchdx.rules.speed.cycles import cycles, mean_of, reads, seconds


def least(function: Callable[[], object], repeats: int = 7) -> float:
    """The shortest CPU time of a call, seconds."""
    times = []
    for _ in range(repeats):
        began = time.thread_time()
        function()
        times.append(time.thread_time() - began)
    return min(times)


# -- P02: rows ---------------------------------------------------------------------------------


class Pixels(Dataset[tuple[Tensor, int]]):
    """Bytes that become a normalised image row by row, as torchvision's transforms do it."""

    def __init__(self) -> None:
        self.rows = torch.randint(0, 256, (2048, 28, 28), dtype=torch.uint8).numpy()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        image = torch.from_numpy(np.array(Image.fromarray(self.rows[index])))
        return (image[None].contiguous().float().div(255) - 0.13) / 0.3, 1


class Letters(Dataset[tuple[Tensor, int]]):
    """Texts of 150 letters that are looked up one by one."""

    numbers = {letter: number for number, letter in enumerate("abcdefghij ")}  # noqa: RUF012

    def __len__(self) -> int:
        return 2048

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.tensor([self.numbers[letter] for letter in "abcde fghij " * 12]), 1


def rows() -> None:
    """CPU microseconds a row, by shape of the row and size of the batch."""
    sets: dict[str, Dataset[object]] = {}
    for shape in ((20,), (784,), (3, 32, 32), (3, 64, 64), (3, 128, 128)):
        tensors = torch.zeros(1024, *shape), torch.zeros(1024)
        sets[f"in memory, {' x '.join(map(str, shape))}"] = TensorDataset(*tensors)
    sets |= {"bytes to a normalised 28 x 28 image": Pixels(), "150 letters looked up": Letters()}
    print(f"{'rows':38}" + "".join(f"batch {size:<6}" for size in (16, 64, 256)))
    for name, dataset in sets.items():
        costs = []
        for size in (16, 64, 256):
            loader = DataLoader(dataset, batch_size=size, shuffle=True)
            costs.append(least(lambda: [None for _ in loader]) / len(dataset))  # noqa: B023
        print(f"{name:38}" + "".join(f"{1e6 * cost:<12.1f}" for cost in costs), flush=True)


# -- P03: reads --------------------------------------------------------------------------------


def cost_of_reads() -> None:
    """CPU microseconds of reads and of the loops that are common around them."""
    answer, labels = torch.randn(64, 10), torch.randint(0, 10, (64,))
    best, loss = answer.argmax(1), torch.tensor(1.5)
    weights = [torch.randn(256, 256) for _ in range(6)]
    cases: dict[str, Callable[[], object]] = {
        "loss.item()": loss.item,
        "float(loss)": lambda: float(loss),
        "f'{loss:.3f}'": lambda: f"{loss:.3f}",
        "answer.tolist(), 64 x 10": answer.tolist,
        "repr(answer), 64 x 10": lambda: repr(answer),
        "(best == labels).sum().item()": lambda: (best == labels).sum().item(),
        "64 x best[i].item() == labels[i].item()": lambda: [
            best[i].item() == labels[i].item() for i in range(64)
        ],
        "6 x weight.norm().item(), 256 x 256": lambda: [w.norm().item() for w in weights],
    }
    for name, case in cases.items():
        cost = least(lambda: [case() for _ in range(50)]) / 50  # noqa: B023
        print(f"{name:42}{1e6 * cost:8.1f} us", flush=True)


# -- P04: noise --------------------------------------------------------------------------------


def digits() -> tuple[Tensor, Tensor]:
    """Rows with mean 0 and deviation 1, and their classes."""
    from sklearn.datasets import load_digits

    given, wanted = load_digits(return_X_y=True)
    x = torch.tensor(given, dtype=torch.float32)
    return (x - x.mean()) / x.std(), torch.tensor(wanted)


def nets() -> dict[str, nn.Module]:
    """Without, with some, and with nearly only convolutions."""
    image = nn.Unflatten(1, (1, 8, 8))
    return {
        "mlp": nn.Sequential(
            nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
        ),
        "conv": nn.Sequential(
            image, nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
        ),
        "deep conv": nn.Sequential(
            image, nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
        ),
    }  # fmt: skip


def scale_of(gradients: Tensor) -> float:
    """The noise scale of rows' gradients, (rows, parameters)."""
    spread = gradients.var(0).sum()
    return float(spread / ((gradients.mean(0) ** 2).sum() - spread / len(gradients)))


def noise() -> None:
    """The exact noise scale beside that of the linear layers, while nets learn digits."""
    x, y = digits()
    for name, net in nets().items():
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9 * (name != "mlp"))

        def loss(parameters: dict[str, Tensor], row: Tensor, label: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(net, parameters, (row[None],)), label[None])  # noqa: B023

        for step in range(401):
            if step in {0, 10, 50, 100, 200, 400}:
                few = torch.randperm(len(x))[:500]
                parameters = {key: value.detach() for key, value in net.named_parameters()}
                found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x[few], y[few])
                flat = {key: value.flatten(1) for key, value in found.items()}
                linear = [
                    value
                    for key, value in flat.items()
                    if isinstance(net.get_submodule(key.rpartition(".")[0]), nn.Linear)
                ]
                whole = scale_of(torch.cat(list(flat.values()), 1))
                print(f"{name:10} step {step:4} all {whole:8.0f}", end="")
                print(f"   linear {scale_of(torch.cat(linear, 1)):8.0f}", flush=True)
            rows_now = torch.randint(0, len(x), (64,))
            optimizer.zero_grad()
            F.cross_entropy(net(x[rows_now]), y[rows_now]).backward()
            optimizer.step()


def table(name: str) -> tuple[Tensor, Tensor, int]:
    """Standardised rows and targets of a data set, and how many outputs they need."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    x = torch.tensor(loaded.data, dtype=torch.float32)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    y = torch.tensor(loaded.target)
    if name == "diabetes":
        y = ((y - y.mean()) / y.std()).float()[:, None]
    return x[order], y[order], 1 if name == "diabetes" else int(y.max()) + 1


def run(name: str, kind: str, rate: float, batch: int, epochs: int) -> tuple[Record, float]:
    """A small net trained so, watched; its record, and its loss over all rows at the end."""
    x, y, outputs = table(name)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs)
    )
    criterion = F.mse_loss if outputs == 1 else F.cross_entropy
    momentum = {"momentum": 0.9} if kind == "momentum" else {}
    cls = torch.optim.Adam if kind == "adam" else torch.optim.SGD
    optimizer = cls(net.parameters(), lr=rate, **momentum)
    path = Path(tempfile.mkdtemp()) / "run.dx"
    observer = Observer(Recorder(Writer(path)))
    observer.start()
    for _ in range(epochs):
        for rows_now in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            criterion(net(x[rows_now]), y[rows_now]).backward()
            optimizer.step()
    observer.finish(status=0)
    return read(path), float(criterion(net(x), y).detach())


BATCHES = (
    *(("digits", "sgd", 0.1, batch, 10) for batch in (8, 32, 128, 512, 1797)),
    *(("digits", "adam", 1e-3, batch, 40) for batch in (32, 128, 512, 1797)),
    *(("wine", "adam", 1e-3, batch, 40) for batch in (8, 32, 178)),
    *(("diabetes", "sgd", rate, batch, 20) for rate, batch in ((0.1, 2), (0.01, 2), (0.1, 32))),
    ("diabetes", "momentum", 0.05, 4, 20),
    ("digits", "sgd", 0.1, 4, 8),
    ("breast_cancer", "sgd", 0.1, 2, 20),
)


def batches() -> None:
    """Where runs ended beside what the noise scale says of their batches."""
    for name, kind, rate, batch, epochs in BATCHES:
        record, final = run(name, kind, rate, batch, epochs)
        print(f"{name:13} {kind:8} rate {rate:5} rows {batch:4} epochs {epochs:2}", end="")
        print(f" steps {record.steps:5} {course(record)} loss {final:.3f}", flush=True)


def course(record: Record) -> str:
    """The quantities of P04 in a run."""
    measured, losses = p04._noise(record), p04._quarters(record.losses)
    stepped = [optimizer for optimizer in record.optimizers.values() if optimizer.steps]
    if measured is None or losses is None or len(stepped) != 1:
        return "not measured"
    seen = p04._Run(stepped[0], measured, losses)
    times = measured.batch / measured.scale if measured.scale else math.inf
    stopped = "stopped" if seen.stopped else "       "
    falling, excess = f"falling {seen.falling:5.2f}", f"excess {seen.excess:5.2f}"
    return f"scale {measured.scale:7.0f} rows/scale {times:6.2f} {falling} {stopped} {excess}"


def runs(folder: Path) -> None:
    """The quantities of all three rules in recorded runs, by the share that data takes."""
    found = []
    for path in sorted(folder.rglob("*.dx")):
        record = read(path)
        seen = cycles(record)
        if seen is None:
            continue
        own = [value for step, value in record.series("wait.own") if step > 5]  # noqa: PLR2004
        told = reads(record)
        watched = told[0].facts["cycles"] if told else 1
        count = sum(event.facts["count"] for event in told) / watched
        looping = sum(event.facts["looping"] for event in told) / watched
        free = seen.whole * (1 - (mean_of(record, "thread.queued") or 0.0))
        line = f"data {seen.data / seen.whole:4.0%} {seconds(median(own)) if own else '-':>8}"
        line += f" reads {count:5.0f} {looping / free:4.0%}  {course(record)}"
        found.append((seen.data / seen.whole, f"{path.parent.name}/{path.stem:30} {line}"))
    for _, line in sorted(found, reverse=True):
        print(line)


def main() -> None:
    """Do what was asked for."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked == "runs":
        runs(Path(sys.argv[2]))
        return
    studies = {"rows": rows, "reads": cost_of_reads, "noise": noise, "batches": batches}
    if asked not in studies:
        sys.exit(__doc__)
    studies[asked]()


if __name__ == "__main__":
    main()
