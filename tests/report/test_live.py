import re
import subprocess
import sys
import time

import pytest

from tests.report.conftest import Opened

PROGRAM = """
import sys, time, torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 8), torch.randint(3, (64,))
for step in range(STEPS):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    if step == 40:
        print("forty", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def run(tmp_path):
    """A run that waits in its midst for a line."""
    (tmp_path / "train.py").write_text(PROGRAM.replace("STEPS", "120"))
    line = [sys.executable, "-m", "torchdx", "run", "-q", "--record", "live.dx", "train.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.DEVNULL, **pipes)
    assert process.stdout.readline() == "forty\n"
    time.sleep(2.5)  # a record is at most two seconds behind; a beat more for its thread
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def served(tmp_path, run):
    line = [sys.executable, "-m", "torchdx", "report", "--serve", "live.dx"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    yield re.search(r"http://\S+", said)[0]
    process.terminate()
    assert process.wait(timeout=10) == 143
    process.stderr.close()


def steps_of(page) -> int:
    return int(page.locator(".run span").first.inner_text().split()[0])


@pytest.mark.slow
def test_the_page_of_a_run_grows_with_it_and_says_when_it_has_ended(run, served, browser):
    shown = Opened(browser, served)
    page = shown.page
    assert page.locator(".state").inner_text() == "running"
    begun = steps_of(page)
    assert begun < 120
    page.locator("#network .chooser label", has_text="spread of outputs").click()
    run.communicate("\n", timeout=30)
    page.wait_for_selector("html:not([data-live]), .run:not(:has(.state))", timeout=15_000)
    assert steps_of(page) == 120
    assert (
        page.locator("#network .chooser input:checked").get_attribute("value") == "activation.std"
    )
    assert shown.complaints == []
    assert {url.split("/")[2] for url in shown.requests if url.startswith("http")} == {
        served.split("/")[2]
    }
    shown.close()
