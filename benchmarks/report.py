"""How long a page takes and how large it is, of a small run and of a long run of a deep net.

    python benchmarks/report.py                 400 steps of 10 layers; 10,000 of 100
    python benchmarks/report.py 2000 30         so many steps of so many layers

Medians of five: seconds to read the record, to ask the rules, to make the view and the page; as
ratios to reading it. And the page's megabytes, and the seconds until a browser has drawn it all.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchdx.record.reader import read
from torchdx.report.page import page
from torchdx.report.view import view_of
from torchdx.rules.ranking import diagnose

sys.path.insert(0, str(Path(__file__).parent))
from record_size import recorded

TIMES = 5


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Median seconds, and what it gave last."""
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        result = work()
        took.append(time.perf_counter() - began)
    return statistics.median(took), result


def drawn(place: Path) -> float | None:
    """Seconds until a browser has drawn a page; None without one."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    def once() -> None:
        shown = browser.new_page()
        shown.goto(place.as_uri())
        shown.wait_for_selector("html[data-drawn]")
        shown.close()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        took, _ = timed(once)
        browser.close()
    return took


def measure(folder: str, steps: int, layers: int) -> str:
    """One line of the table."""
    path = recorded(folder, steps, layers)
    reading, record = timed(lambda: read(path))
    asking, diagnosis = timed(lambda: diagnose(record))
    viewing, view = timed(lambda: view_of(record, diagnosis, path))
    making, text = timed(lambda: page(view))
    place = Path(folder, "page.html")
    place.write_text(text, encoding="utf-8")
    seconds = drawn(place)
    shown = "no browser" if seconds is None else f"{seconds:.2f}"
    ratios = " | ".join(f"{part / reading:.2f}" for part in (asking, viewing, making))
    size = place.stat().st_size / 1e6
    return f"| {steps:,} x {layers} | {reading:.3f} | {ratios} | {size:.2f} | {shown} |"


def main() -> None:
    """Print the table."""
    given = [int(word) for word in sys.argv[1:3]]
    print("| steps x layers | read, s | rules / read | view / read | page / read | MB | drawn, s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for steps, layers in [tuple(given)] if given else [(400, 10), (10_000, 100)]:
            print(measure(folder, steps, layers), flush=True)


if __name__ == "__main__":
    main()
