"""Programs that are run as an arm's are, less the observation: in a child of one nursery."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from torchdx.boot import nursery as nurseries
from torchdx.boot.nursery import Birth, Nursery

REPOSITORY = Path(__file__).parents[2]
PATH = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY)))


@dataclass
class Home:
    """Where an arm lives beside the user's own folder, `mine`, and another, `other`."""

    root: Path
    mine: Path
    other: Path
    scratch: Path

    def run(self, text: str, expected: int = 0) -> str:
        """What a program prints that runs as an arm's; `MINE` and `OTHER` are the folders."""
        told = {"text": text, "scratch": str(self.scratch), "mine": str(self.mine)}
        told |= {"other": str(self.other), "home": str(self.root)}
        out, err = self.root / "out.txt", self.root / "err.txt"
        variables = {"PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"}
        own = {"TMPDIR": str(self.root / "tmp")}
        birth = Birth(
            "tests.trials.inside:live", json.dumps(told), str(self.mine), *_(out, err), own
        )
        with Nursery.lent(variables) as nursery:
            nursery.begin(birth)
            status = nursery.wait(30)
        assert status == expected, err.read_text()
        return out.read_text()


def _(*paths: Path) -> tuple[str, ...]:
    return tuple(map(str, paths))


@pytest.fixture(scope="module")
def _nursery():
    before = nurseries.IMPORTS
    nurseries.IMPORTS = ("numpy", "torch")
    yield
    nurseries.IMPORTS = before
    Nursery.close_all()


@pytest.fixture
def home(tmp_path, _nursery) -> Home:
    """Folders, empty but for the arm's `tmp`."""
    made = Home(tmp_path / "home", tmp_path / "mine", tmp_path / "other", tmp_path / "home/scratch")
    for folder in (made.root, made.mine, made.other, made.root / "tmp"):
        folder.mkdir()
    return made
