"""All figures of a run, by name."""

from torchdx.report.charts.base import Figure
from torchdx.report.charts.data import labels, output_gradients
from torchdx.report.charts.depth import depth_time
from torchdx.report.charts.evidence import evidence
from torchdx.report.charts.flow import flows
from torchdx.report.charts.histograms import histograms
from torchdx.report.charts.learning import learning
from torchdx.report.charts.sharpness import sharpness
from torchdx.report.charts.slices import slices
from torchdx.report.charts.spectrum import spectrum
from torchdx.report.charts.time import time_splits
from torchdx.report.charts.trial import trial
from torchdx.report.view import View
from torchdx.report.view.signals import USUAL


def figures_of(view: View, signal: str = "") -> dict[str, Figure]:
    """What can be drawn of a run.

    Args:
        view: the run.
        signal: what `depth-time` shows; by default that in which the root finding is seen best.
    """
    findings = view["verdict"]["findings"]
    signal = signal or (findings[0]["signal"] if findings else USUAL)
    found = [
        learning(view),
        depth_time(view, signal),
        *flows(view),
        *histograms(view),
        sharpness(view),
        spectrum(view),
        *slices(view),
        labels(view),
        output_gradients(view),
        time_splits(view),
        *(evidence(finding) for finding in findings[:1]),
        *(trial(kept) for kept in view["trials"]),
    ]
    return {figure.name: figure for figure in found if figure is not None}
