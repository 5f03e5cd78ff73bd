"""A site that is opened for a test and closed behind it."""

from collections.abc import Iterator

import pytest

from torchdx.rules.base import Prescription
from torchdx.treatments.base import all_treatments
from torchdx.treatments.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def treated(site: Site):
    """Install a treatment: `treated("step_size", to="0.1")`; returns the site."""

    def install(change: str, *, where: str = "", to: str = "") -> Site:
        known = all_treatments()[change]
        known.install(site, Prescription(change, "", where, to))
        site.begin()
        return site

    return install
