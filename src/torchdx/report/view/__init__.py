"""A judged run as one plain object: all that a page or a figure shows, and nothing of how.

`docs/page-format.md` documents it. The number in `schema` rises when a field changes meaning or
goes away; new fields do not change it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from torchdx.record.model import Record
from torchdx.report.view.curvature import (
    Density,
    Sharpness,
    Slice,
    curvature_of,
    slices_of,
    spectra_of,
)
from torchdx.report.view.data import Data, data_of
from torchdx.report.view.flow import Flow, flow_of, forward_order
from torchdx.report.view.head import Head, head_of
from torchdx.report.view.histograms import Histograms, histograms_of
from torchdx.report.view.learning import Learning, learning_of
from torchdx.report.view.network import Network, network_of
from torchdx.report.view.time import Split, time_of
from torchdx.report.view.verdict import Verdict, verdict_of
from torchdx.rules.ranking import Diagnosis

SCHEMA = 1


class View(TypedDict):
    """One run."""

    schema: int
    head: Head
    verdict: Verdict
    trials: list[dict[str, Any]]
    learning: Learning
    network: Network
    flow: list[Flow]
    histograms: list[Histograms]
    curvature: list[Sharpness]
    spectra: list[Density]
    slices: list[Slice]
    data: Data
    time: list[Split]


def view_of(  # noqa: PLR0913  # what is told of a run, and how
    record: Record,
    diagnosis: Diagnosis,
    path: Path,
    *,
    source: bool = True,
    live: bool = False,
    trials: Sequence[dict[str, Any]] = (),
) -> View:
    """What is to be shown of a run.

    Args:
        record: what was kept of it.
        diagnosis: what the rules say of it.
        path: where the record is.
        source: whether lines of the program may be shown.
        live: whether the program still runs.
        trials: what was tried on it, as `torchdx.trials.kept` tells.
    """
    network = network_of(record, source=source)
    order = forward_order(record, [part["path"] for part in network["parts"]])
    return View(
        schema=SCHEMA,
        head=head_of(record, path, live=live),
        verdict=verdict_of(record, diagnosis, source=source),
        trials=[dict(trial) if source else {**trial, "edit": None} for trial in trials],
        learning=learning_of(record),
        network=network,
        flow=flow_of(record, order),
        histograms=histograms_of(record, order),
        curvature=curvature_of(record),
        spectra=spectra_of(record),
        slices=slices_of(record),
        data=data_of(record),
        time=time_of(record),
    )
