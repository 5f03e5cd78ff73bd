"""docs/ledger.md follows from the rows beside it, and these are of the studies as they are now."""

from pathlib import Path

import pytest

from torchdx.lab import ledger, store
from torchdx.lab.statistics import LEAST
from torchdx.lab.study import find_study, study_names

DOCS = Path(__file__).parents[2] / "docs"
ROWS = DOCS / "ledger" / "rows"


@pytest.mark.parametrize("name", study_names())
def test_rows_of_every_study_are_kept_of_its_present_version(name):
    kept = store.load(ROWS, find_study(name), "quick")
    assert kept is not None, "make lab"
    assert kept.stale == 0, "make lab"
    assert len(kept.done) >= LEAST
    assert not kept.failed


def test_the_ledger_says_what_follows_from_its_rows():
    found = list(ledger.entries([find_study(name) for name in study_names()], ROWS))
    keys = [f"{entry.study.name}-{entry.size}" for entry in found]
    pictures = {key: f"ledger/{key}.svg" for key in keys}
    again = ledger.as_markdown([ledger.as_object(entry) for entry in found], pictures)
    assert (DOCS / "ledger.md").read_text() == again, "make ledger"
    assert all((DOCS / picture).exists() for picture in pictures.values())
