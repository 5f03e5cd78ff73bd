"""Records of small runs, and a browser to look at their pages with."""

import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support import observed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def training(
    steps: int = 40, *, model: nn.Module | None = None, reduction: str = "mean", lr: float = 0.1
):
    """A program: a few steps on digits made up, with a validation and a mode switch."""
    torch.manual_seed(0)
    inputs, labels = torch.randn(64, 8), torch.randint(3, (64,))
    model = model or nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=16, shuffle=True)
    for _ in range(steps // 4):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for x, y in DataLoader(TensorDataset(inputs, labels), batch_size=32):
                (model(x).argmax(1) == y).float().mean().item()


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """Paths of records by name, each made once."""
    home = tmp_path_factory.mktemp("records")

    @cache
    def made(name: str) -> Path:
        path = home / f"{name}.dx"
        observed(PROGRAMS[name], path)
        return path

    return made


def _long_names():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleDict({"</script><b>x": nn.Linear(8, 3)})

        def forward(self, x):
            return self.inner["</script><b>x"](x)

    Odd.__name__ = Odd.__qualname__ = "</script><img src=x onerror=alert(1)>"
    training(model=Odd())


def _diverging():
    training(model=nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 3)), reduction="sum", lr=1e4)


def _nothing():
    nn.Linear(2, 2)


PROGRAMS = {
    "healthy": training,
    "summed": lambda: training(80, reduction="sum", lr=0.5),
    "odd": _long_names,
    "diverging": _diverging,
    "nothing": _nothing,
}


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a window."""
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


class Opened:
    """A page, and what it complained of and asked for while it was open."""

    def __init__(self, browser, place: str, **context):
        self.complaints, self.requests = [], []
        self.page = browser.new_context(**context).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(place)
        self.page.wait_for_selector("html[data-drawn]")

    def close(self):
        self.page.context.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page that is given as text."""
    pages = []

    def open_(text: str, **context) -> Opened:
        place = tmp_path / f"page{len(pages)}.html"
        place.write_text(text, encoding="utf-8")
        pages.append(Opened(browser, place.as_uri(), **context))
        return pages[-1]

    yield open_
    for page in pages:
        page.close()
