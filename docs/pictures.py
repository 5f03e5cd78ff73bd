"""Makes the pictures of pages that stand in the README and in docs/pages.md.

    make pictures

Five programs are run under torchdx, the summed loss also tried; a browser shows each page.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
WINDOW = {"width": 1080, "height": 1180}
PROGRAMS = {
    "healthy": "faults/twins/clothes_deep_mlp.py",
    "summed-loss": "gallery/summed_loss.py",
    "dead-units": "faults/sick/footwear_sorter.py",
    "vanishing-gradient": "faults/sick/clothes_deep_mlp.py",
    "slow-loading": "faults/sick/garment_on_the_fly.py",
}
TRIED = {"summed-loss": "L09"}


def torchdx(folder: Path, *arguments: str) -> None:
    """Run a command; its status says what was found and does not matter here."""
    line = [sys.executable, "-m", "torchdx", *arguments]
    subprocess.run(line, cwd=folder, check=False, capture_output=True)  # noqa: S603  # ours


def page_of(folder: Path, name: str) -> Path:
    """The page of a program's run."""
    record, place = folder / ".torchdx" / f"{name}.dx", folder / f"{name}.html"
    torchdx(folder, "run", "-q", "--record", str(record), str(ROOT / PROGRAMS[name]))
    if name in TRIED:
        torchdx(folder, "try", TRIED[name], "--run", name)
    torchdx(folder, "report", str(record), "-o", str(place))
    return place


def show(browser: Browser, page: Path, name: str, **context: str) -> None:
    """One picture of the top of a page."""
    shown = browser.new_page(viewport=WINDOW, **context)
    shown.goto(page.as_uri())
    shown.wait_for_selector("html[data-drawn]")
    shown.screenshot(path=PICTURES / f"{name}.png")
    shown.close()


def main() -> None:
    """Make them all."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in PROGRAMS:
            page = page_of(Path(folder), name)
            show(browser, page, name)
            print(f"wrote docs/pictures/{name}.png")  # noqa: T201  # a script
        show(browser, page, f"{name}-dark", color_scheme="dark")
        browser.close()


if __name__ == "__main__":
    main()
