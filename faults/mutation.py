"""The mutations of DeepCrime (Humbatova et al., ISSTA 2021) for PyTorch programs.

Every mutation also says which codes would be a right answer to it. These were written down before
anything was run, from what the operator does; an empty set means that no rule of torchdx claims to
see it, or that it is harmless by nature.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from faults import mutation_operators as operators

Operator = Callable[[str], str | None]


@dataclass(frozen=True)
class Mutation:
    """One operator with its parameter. `code` is DeepCrime's name for the operator."""

    code: str
    name: str
    level: str
    apply: Operator
    right: frozenset[str]  # codes of torchdx that would be a right answer

    @property
    def label(self) -> str:
        """A word for file names and tables."""
        return f"{self.code}_{self.level}"


_ONE_HOT = (
    "lambda out, y: nn.functional.mse_loss(out, nn.functional.one_hot(y, out.shape[1]).float())"
)


def _data(code: str, name: str, helper: str, share: float, right: str) -> Mutation:
    apply = partial(operators.on_training_data, helper=helper, share=share)
    return Mutation(code, name, f"{share:g}", apply, frozenset(right.split()))


def _call(code: str, name: str, level: str, right: str, apply: Operator) -> Mutation:
    return Mutation(code, name, level, apply, frozenset(right.split()))


def _argument(calls: Sequence[str], name: str, text: str) -> Operator:
    return partial(operators.scaled_argument, calls=calls, name=name, text=text)


def _activation(layer: str, function: str, *, last_only: bool = False) -> Operator:
    return partial(operators.other_activation, layer=layer, function=function, last_only=last_only)


def _output(regression: str, classes: str) -> Operator:
    return partial(operators.activated_output, regression=regression, classes=classes)


def _loss(regression: str, classes: str) -> Operator:
    return partial(operators.other_loss, regression=regression, classes=classes)


_RATE = partial(_argument, operators.OPTIMIZERS, "lr")
_DECAY = partial(_argument, operators.OPTIMIZERS, "weight_decay")
_BATCH = partial(_argument, ("DataLoader",), "batch_size")
_CLIP = partial(_argument, ("clip_grad_norm_",), "max_norm")

MUTATIONS = (
    _data("TCL", "change labels", "change_labels", 0.5, "D05"),
    _data("TCL", "change labels", "change_labels", 1.0, "D05 D06 D07"),
    _data("TRD", "delete training data", "delete_rows", 0.9, "R03 O02"),
    _data("TRD", "delete training data", "delete_rows", 0.98, "R03 O02 D09"),
    _data("TUD", "unbalance training data", "unbalance", 0.95, "D06"),
    _data("TAN", "add noise to training data", "add_noise", 1.0, "D13 D14"),
    _data("TCO", "make classes overlap", "overlap_classes", 1.0, "D05"),
    _call("HBS", "change batch size", "quarter", "P04 N01 O17", _BATCH("{} // 4")),
    _call("HBS", "change batch size", "tenfold", "P04 O02", _BATCH("10 * {}")),
    _call("HDB", "disable batching", "all", "P04 O02", operators.without_batches),
    _call(
        "HNE",
        "change number of epochs",
        "eighth",
        "O02",
        partial(operators.fewer_epochs, divisor=8),
    ),
    _call("HLR", "change learning rate", "hundredth", "O02", _RATE("0.01 * {}")),
    _call("HLR", "change learning rate", "hundredfold", "O01 A02", _RATE("100 * {}")),
    _call(
        "ACH",
        "change activation",
        "sigmoid",
        "A03 A13 O02",
        _activation("nn.Sigmoid()", "torch.sigmoid({})"),
    ),
    _call(
        "ACH",
        "change activation",
        "softmax",
        "A03 A13 O02",
        _activation("nn.Softmax(dim=1)", "torch.softmax({}, dim=1)", last_only=True),
    ),
    _call("ARM", "remove activation", "all", "A01", _activation("nn.Identity()", "{}")),
    _call("AAL", "add activation", "relu", "L13 L14", _output("torch.relu({})", "torch.relu({})")),
    _call(
        "AAL",
        "add activation",
        "softmax",
        "L01 L13",
        _output("torch.sigmoid({})", "torch.softmax({}, dim=1)"),
    ),
    _call(
        "WCI",
        "change weight initialisation",
        "zeros",
        "A04 A06",
        partial(operators.other_initialisation, function="zeros_"),
    ),
    _call(
        "WCI",
        "change weight initialisation",
        "ones",
        "A04 A05",
        partial(operators.other_initialisation, function="ones_"),
    ),
    _call(
        "OCH",
        "change optimizer",
        "plain",
        "O01 O02",
        partial(operators.other_optimizer, names=("SGD", "Adam")),
    ),
    _call(
        "OCH",
        "change optimizer",
        "adadelta",
        "O01 O02",
        partial(operators.other_optimizer, names=("Adadelta",)),
    ),
    _call("OCG", "change gradient clip", "thousandth", "O15", _CLIP("0.001 * {}")),
    _call("VRM", "remove validation set", "all", "", operators.without_validation),
    _call("RCP", "change patience", "1", "", partial(operators.less_patience, patience=1)),
    _call("WAB", "add bias", "all", "", operators.with_bias),
    _call("WRB", "remove bias", "all", "", operators.without_bias),
    _call("LCH", "change loss", "class", "L05 L11", _loss("nn.SoftMarginLoss()", "nn.NLLLoss()")),
    _call("LCH", "change loss", "squared", "L10", _loss("nn.L1Loss()", _ONE_HOT)),
    _call("RCD", "change dropout rate", "0.9", "R01", partial(operators.other_dropout, rate=0.9)),
    _call("RCD", "change dropout rate", "0", "R03", partial(operators.other_dropout, rate=0.0)),
    _call(
        "RAW",
        "add weight regularisation",
        "l1",
        "O10 L20",
        partial(operators.penalised, strength=0.01),
    ),
    _call("RCW", "change weight regularisation", "hundredfold", "O10", _DECAY("100 * {}")),
    _call("RRW", "remove weight regularisation", "all", "R03", _DECAY("0 * {}")),
)


def mutants_of(source: str) -> Iterator[tuple[Mutation, str]]:
    """Every mutation that has a place in a program, with the mutated source.

    Raises:
        SyntaxError: an edit broke the program, which would be a defect of its operator.
    """
    for mutation in MUTATIONS:
        text = mutation.apply(source)
        if text is not None:
            compile(text, mutation.label, "exec")
            yield mutation, text
