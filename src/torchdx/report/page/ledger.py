"""The page of the ledger: every claim of every study, in the look of a run's page."""

from collections.abc import Mapping, Sequence
from typing import Any

from torchdx.report.charts.base import Figure
from torchdx.report.page import _environment, _frame


def page(studies: Sequence[Mapping[str, Any]], figures: Mapping[str, Figure], counted: str) -> str:
    """One file of HTML.

    Args:
        studies: as `torchdx.lab.ledger` tells of them.
        figures: by name and size of the study, `name-size`.
        counted: how many claims fared how.
    """
    return (
        _environment()
        .get_template("ledger.html")
        .render(**_frame(live=False), studies=studies, figures=figures, counted=counted, live=False)
    )
