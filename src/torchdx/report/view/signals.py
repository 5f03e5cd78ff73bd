"""What is drawn of a layer: the signals, how they are called, and on which scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Scale = Literal["log", "linear", "share"]


@dataclass(frozen=True)
class Signal:
    """A quantity of a layer over the steps.

    title  for a person
    scale  `log` for sizes that span powers of ten, `share` for 0 to 1, `linear` for the rest
    about  what its values say, in a sentence
    """

    title: str
    scale: Scale
    about: str


OF_LAYERS: Mapping[str, Signal] = {
    "gradient.norm": Signal(
        "gradient norm",
        "log",
        "Length of the gradient of the layer's own weights.",
    ),
    "update.ratio": Signal(
        "update / weight",
        "log",
        "Length of one step's change of the weights over the length of the weights; "
        "healthy runs are mostly near a thousandth.",
    ),
    "output_gradient.rms": Signal(
        "gradient of outputs",
        "log",
        "Root mean square of the loss's gradient by the layer's outputs, what comes back to it.",
    ),
    "activation.std": Signal(
        "spread of outputs", "log", "Standard deviation of all that the layer puts out."
    ),
    "activation.mean": Signal("mean of outputs", "linear", "Mean of all outputs."),
    "activation.gain": Signal(
        "gain", "log", "Root mean square of what comes out over that of what goes in."
    ),
    "activation.zeros": Signal("zeros", "share", "Share of outputs that are exactly zero."),
    "unit.dead": Signal(
        "dead units", "share", "Share of units never above zero in the last eight samples."
    ),
    "unit.still": Signal(
        "still units", "share", "Share of units that answer the same to every row of a batch."
    ),
    "activation.beyond3": Signal(
        "beyond 3",
        "share",
        "Share of outputs of a magnitude above 3, where tanh is flat.",
    ),
    "row.spread": Signal(
        "difference of rows",
        "share",
        "How much the rows of a batch differ in it: 0 where all look alike.",
    ),
    "channel.mean_rms": Signal(
        "channel means", "log", "Root mean square of the means of its channels."
    ),
    "channel.std_rms": Signal(
        "channel deviations", "log", "Root mean square of the deviations of its channels."
    ),
    "output_gradient.zeros": Signal(
        "zeros coming back", "share", "Share of the gradient of its outputs that is zero."
    ),
    "weight.norm": Signal("weight norm", "log", "Length of the layer's own weights."),
}

USUAL = "gradient.norm"

# The signal in which a finding is seen best, by its code; `USUAL` for the rest.
BEST_SEEN: Mapping[str, str] = {
    "A01": "activation.gain",
    "A02": "unit.dead",
    "A03": "output_gradient.rms",
    "A04": "weight.norm",
    "A05": "activation.std",
    "A06": "activation.std",
    "A07": "activation.std",
    "A13": "row.spread",
    "D01": "activation.std",
    "D02": "activation.std",
    "D03": "row.spread",
    "L13": "activation.beyond3",
    "L14": "activation.zeros",
    "N01": "channel.std_rms",
    "N02": "channel.mean_rms",
    "O01": "update.ratio",
    "O02": "update.ratio",
    "O10": "weight.norm",
    "O13": "update.ratio",
    "O15": "update.ratio",
}
