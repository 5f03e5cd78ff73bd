"""What stands on the screen while a run goes on, whatever the screen's size."""

from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support import observed
from torchdx.record.model import Record
from torchdx.report.screen import Screen, duration, spark, steps_per_s
from torchdx.rules.ranking import diagnose

PATH = Path(".torchdx/train-20261121-120000-000-1.dx")


def train() -> None:
    """Two epochs of a classifier with a softmax too many, each validated."""
    torch.manual_seed(0)
    x, y = torch.randn(200, 6), torch.arange(200) % 4
    learned = DataLoader(TensorDataset(x[:160], y[:160]), 16, shuffle=True)
    judged = DataLoader(TensorDataset(x[160:], y[160:]), 40)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.Softmax(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(3):
        model.train()
        for rows, labels in learned:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(rows), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for rows, labels in judged:
                (model(rows).argmax(1) == labels).sum().item()
        scheduler.step()


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> Record:
    return observed(train, tmp_path_factory.mktemp("screen") / "run.dx")


def drawn(record: Record, width: int, height: int, **more) -> list[str]:
    """The lines of the screen, after one more than there are would have scrolled it."""
    console = Console(
        width=width, height=height, color_system=None, highlight=False, force_terminal=False
    )
    with console.capture() as captured:
        console.print(Screen(PATH, record, diagnose(record, live=True), **more))
    return captured.get().removesuffix("\n").split("\n")


@pytest.mark.parametrize("width", [30, 60, 80, 120])
@pytest.mark.parametrize("height", [1, 2, 4, 8, 12, 24, 50])
def test_it_fits_every_screen(record, width, height):
    lines = drawn(record, width, height, silent_s=500.0)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("torchdx")


def test_a_usual_screen_tells_all_there_is(record):
    lines = drawn(record, 100, 30)
    labels = [line.split()[0] for line in lines if line[:1].isalpha()]
    assert labels == [
        *("torchdx", "loss", "validation", "time", "update/weight", "rate", "cost", "q"),
    ]
    said = "\n".join(lines)
    assert "step 30" in said
    assert " 1 ✗ L01 softmax-before-cross-entropy  fault  " in said
    assert "test_screen.py:" in said
    assert "softmax is applied twice to the 4 scores" in said
    assert any(0x2800 < ord(sign) < 0x2900 for sign in said), "the loss is drawn"
    assert "nothing new" not in said


def test_on_a_small_screen_the_loss_and_the_findings_come_first(record):
    lines = drawn(record, 60, 4)
    assert [line[:5] for line in lines] == ["torch", "loss ", " 1 ✗ ", "q qui"]
    assert "█" in lines[1], "a line of bars where there is no room to draw"


@pytest.mark.parametrize(
    ("alive", "words"), [(True, "is there"), (False, "is gone"), (None, "8 min")]
)
def test_a_long_silence_is_told_with_what_is_known_of_the_process(record, alive, words):
    lines = drawn(record, 80, 24, silent_s=500.0, alive=alive)
    assert lines[1].startswith("nothing new for 8 min")
    assert lines[1].endswith(words)


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [1.0],
        [2.0, 2.0],
        [0.0, 0.0],
        [1.0, float("nan"), 2.0],
        [float("inf")],
        [1e308, 1e308, -1e308],
        [1e-30, 1e30],
        [1e30, -1e30, 1.0],
        [float(n % 7) for n in range(5000)],
    ],
)
def test_any_course_of_the_loss_can_be_drawn(losses):
    record = Record(losses=list(enumerate(losses, 1)), backwards=1)
    for width, height in ((30, 20), (100, 30), (80, 6)):
        lines = drawn(record, width, height)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width


def test_the_pace_is_that_of_the_last_while():
    assert steps_per_s(Record()) is None
    assert steps_per_s(Record(pace=[(2.0, 10)])) == 5.0
    assert steps_per_s(Record(pace=[(100.0, 100), (180.0, 190), (200.0, 490)])) == 15.0


def test_bars_run_from_the_lowest_to_the_highest():
    assert spark([0.0, 1.0], 8) == "▁█"
    assert spark([3.0, 3.0, 3.0], 8) == "▁▁▁"
    assert spark([float(n) for n in range(800)], 8) == "▁▂▃▄▅▆▇█"


def test_times_are_told_as_people_say_them():
    assert [duration(s) for s in (0.4, 89.0, 100.0, 3660.0, 36_000.0)] == [
        *("0 s", "89 s", "2 min", "1 h 01 min", "10 h 00 min"),
    ]
