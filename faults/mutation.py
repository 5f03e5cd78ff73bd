"""The mutation operators of DeepCrime (Humbatova et al., ISSTA 2021), for PyTorch programs.

An operator is a function from source to source: it finds its place with `ast` and edits the text
there, so that a mutant differs from its original in the mutated lines alone. It answers None where
a program has no such place. The operators act on the training data only where the original acts on
the training data (`TensorDataset(x_train, y_train)`), as DeepCrime's do.

Every mutation also says which codes would be a right answer to it. These were written down before
anything was run, from what the operator does; an empty set means that no rule of torchdx claims to
see it, or that it is harmless by nature.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

Edit = tuple[int, int, str]  # from this offset to that one stands this text instead
Operator = Callable[[str], str | None]

_ACTIVATIONS = ("ReLU", "Tanh", "relu")
_WEIGHT_INITS = (
    "kaiming_normal_",
    "kaiming_uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "orthogonal_",
    "normal_",
)
_OPTIMIZERS = ("SGD", "Adam", "AdamW")

# What the operators on training data put into a program. A regression target is taken in three
# groups (a standard deviation below its mean, above it, between), as DeepCrime does.
_HELPERS = {
    "groups": '''
def groups_of(y):
    """The class of each row."""
    return torch.bucketize(y, torch.tensor([-1.0, 1.0])) if y.is_floating_point() else y


def some(rows, share):
    """A random share of the rows."""
    return rows[torch.randperm(len(rows))[: int(share * len(rows))]]
''',
    "change_labels": """
def change_labels(x, y, share):
    if y.is_floating_point():
        return x, y + share * y.std() * torch.randn_like(y)
    common = y.mode().values
    rows = some((y == common).nonzero().flatten(), share)
    others = y[y != common].unique()
    y = y.clone()
    y[rows] = others[torch.randint(len(others), (len(rows),))]
    return x, y
""",
    "delete_rows": """
def delete_rows(x, y, share):
    groups, keep = groups_of(y), torch.ones(len(y), dtype=torch.bool)
    for group in groups.unique():
        keep[some((groups == group).nonzero().flatten(), share)] = False
    return x[keep], y[keep]
""",
    "unbalance": """
def unbalance(x, y, share):
    groups, keep = groups_of(y), torch.ones(len(y), dtype=torch.bool)
    kinds, counts = groups.unique(return_counts=True)
    for group in kinds[counts < counts.float().mean()]:
        keep[some((groups == group).nonzero().flatten(), share)] = False
    return x[keep], y[keep]
""",
    "add_noise": """
def add_noise(x, y, share):
    spread = x.flatten(1).std(dim=1).view(-1, *[1] * (x.dim() - 1))
    return x + share * spread * torch.randn_like(x), y
""",
    "overlap_classes": """
def overlap_classes(x, y, share):
    groups = groups_of(y)
    kinds, counts = groups.unique(return_counts=True)
    first, second = kinds[counts.argsort(descending=True)[:2]]
    rows = some((groups == first).nonzero().flatten(), share)
    labels = y[groups == second]
    return torch.cat([x, x[rows]]), torch.cat([y, labels[torch.randint(len(labels), (len(rows),))]])
""",
}


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


class _Source:
    """A program's text with its syntax tree and the edits that are to be made."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._edits: list[Edit] = []
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def calls(self, *names: str) -> list[ast.Call]:
        """Calls of functions with these last names, in the order of the text."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        named = [call for call in found if last_name(call) in names]
        return sorted(named, key=lambda call: (call.lineno, call.col_offset))

    def replace(self, node: ast.expr, text: str) -> None:
        """Put a text in the place of an expression."""
        self._edits.append((*self._span(node), text))

    def delete(self, statement: ast.stmt) -> None:
        """Take a statement's lines away."""
        end = self._starts[statement.end_lineno or statement.lineno]
        self._edits.append((self._starts[statement.lineno - 1], end, ""))

    def insert(self, line: int, text: str) -> None:
        """Put lines before a line."""
        self._edits.append((self._starts[line - 1], self._starts[line - 1], text))

    def statement_of(self, node: ast.expr) -> ast.stmt:
        """The innermost statement in which an expression stands."""
        around = [
            s
            for s in ast.walk(self.tree)
            if isinstance(s, ast.stmt) and any(part is node for part in ast.walk(s))
        ]
        return max(around, key=lambda s: s.lineno)

    def edited(self) -> str | None:
        """The new text; None when nothing was to be changed."""
        text = self.text
        for start, end, new in sorted(self._edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text if text != self.text else None

    def _span(self, node: ast.expr) -> tuple[int, int]:
        line, column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[line - 1] + column


def last_name(call: ast.Call) -> str:
    """`Linear` of `torch.nn.Linear(...)`."""
    return ast.unparse(call.func).rsplit(".", 1)[-1]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def on_training_data(source: str, *, helper: str, share: float) -> str | None:
    """Call a function on the training part, just before it becomes a data set."""
    program = _Source(source)
    parts = next(c for c in program.calls("TensorDataset") if ast.unparse(c.args[0]) == "x_train")
    if helper == "add_noise" and "dtype=torch.long)\n" in source and "nn.Embedding" in source:
        return None  # numbers of words have no noise
    where = program.statement_of(parts)
    names = ", ".join(ast.unparse(a) for a in parts.args)
    indent = " " * where.col_offset
    program.insert(where.lineno, f"{indent}{names} = {helper}({names}, {share})\n")
    imports = [s for s in program.tree.body if isinstance(s, ast.Import | ast.ImportFrom)]
    after = (imports[-1].end_lineno or 0) + 1
    program.insert(after, f"\n{_HELPERS['groups']}\n{_HELPERS[helper]}")
    return program.edited()


def scaled_argument(source: str, *, calls: Sequence[str], name: str, text: str) -> str | None:
    """Put `text`, with {} for what stands there, in the place of a keyword argument."""
    program = _Source(source)
    for call in program.calls(*calls):
        shuffled = keyword(call, "shuffle")
        value = keyword(call, name)
        if value is not None and (name != "batch_size" or shuffled is not None):
            program.replace(value, text.format(ast.unparse(value)))
    return program.edited()


def without_batches(source: str) -> str | None:
    """All training rows in every step."""
    program = _Source(source)
    for call in program.calls("DataLoader"):
        size, rows = keyword(call, "batch_size"), call.args[0]
        if keyword(call, "shuffle") is not None and size and isinstance(rows, ast.Call):
            program.replace(size, f"len({ast.unparse(rows.args[0])})")
    return program.edited()


def fewer_epochs(source: str, *, divisor: int) -> str | None:
    """A part of the epochs."""
    program = _Source(source)
    for loop in _epoch_loops(program):
        assert isinstance(loop.iter, ast.Call)  # noqa: S101 - that is what makes it one
        count = loop.iter.args[-1]
        program.replace(count, f"max(1, {ast.unparse(count)} // {divisor})")
    return program.edited()


def other_activation(source: str, *, layer: str, function: str, last_only: bool) -> str | None:
    """Change the activations between layers (all, or the last one) to another."""
    program = _Source(source)
    places = program.calls(*_ACTIVATIONS)
    for call in places[-1:] if last_only else places:
        inside = ", ".join(ast.unparse(a) for a in call.args)
        program.replace(call, function.format(inside) if call.args else layer)
    return program.edited()


def activated_output(source: str, *, regression: str, classes: str) -> str | None:
    """An activation on what the model answers."""
    program = _Source(source)
    function = regression if "MSELoss" in source else classes
    for node in ast.walk(program.tree):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            back = node.body[-1]
            if isinstance(back, ast.Return) and back.value is not None:
                program.replace(back.value, function.format(ast.unparse(back.value)))
    return program.edited()


def other_initialisation(source: str, *, function: str) -> str | None:
    """Fill all weights with a constant."""
    program = _Source(source)
    for call in program.calls(*_WEIGHT_INITS):
        if ast.unparse(call.func).startswith("nn.init."):
            program.replace(call, f"nn.init.{function}({ast.unparse(call.args[0])})")
    return program.edited()


def other_optimizer(source: str, *, names: Sequence[str]) -> str | None:
    """Another optimizer with the same rate and decay: the first of the names that is another."""
    program = _Source(source)
    for call in program.calls(*_OPTIMIZERS):
        package, _, old = ast.unparse(call.func).rpartition(".")
        new = next(name for name in names if name != old)
        kept = [k for k in call.keywords if k.arg in {"lr", "weight_decay"}]
        inside = [ast.unparse(call.args[0]), *(f"{k.arg}={ast.unparse(k.value)}" for k in kept)]
        program.replace(call, f"{package}.{new}({', '.join(inside)})")
    return program.edited()


def without_validation(source: str) -> str | None:
    """Take away, in the loop over epochs, all that has to do with the validation part."""
    program = _Source(source)
    for loop in _epoch_loops(program):
        for statement in loop.body:
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            if any(name.startswith(("val_", "x_val")) for name in names):
                program.delete(statement)
    return program.edited()


def less_patience(source: str, *, patience: int) -> str | None:
    """Stop earlier."""
    program = _Source(source)
    for node in ast.walk(program.tree):
        named = isinstance(node, ast.keyword) and node.arg == "patience"
        if isinstance(node, ast.Assign):
            named = ast.unparse(node.targets[0]).lower() == "patience"
        value = node.value if isinstance(node, ast.Assign | ast.keyword) and named else None
        if isinstance(value, ast.Constant):
            program.replace(value, str(patience))
    return program.edited()


def with_bias(source: str) -> str | None:
    """A bias for the layers that have none."""
    return scaled_argument(source, calls=("Linear", "Conv2d"), name="bias", text="True")


def without_bias(source: str) -> str | None:
    """No bias for the layers that have one."""
    program = _Source(source)
    for call in program.calls("Linear", "Conv2d"):
        if keyword(call, "bias") is None:
            inside = ", ".join([ast.unparse(a) for a in [*call.args, *call.keywords]])
            program.replace(call, f"{ast.unparse(call.func)}({inside}, bias=False)")
    return program.edited()


def other_loss(source: str, *, regression: str, classes: str) -> str | None:
    """Another loss for the training."""
    program = _Source(source)
    for call in program.calls("MSELoss", "CrossEntropyLoss"):
        program.replace(call, regression if last_name(call) == "MSELoss" else classes)
    return program.edited()


def other_dropout(source: str, *, rate: float) -> str | None:
    """Another rate for all dropout layers."""
    program = _Source(source)
    for call in program.calls("Dropout"):
        program.replace(call.args[0], str(rate))
    return program.edited()


def penalised(source: str, *, strength: float) -> str | None:
    """Add the sum of all weights' sizes to the loss."""
    program = _Source(source)
    model = next(ast.unparse(c.func).rsplit(".", 1)[0] for c in program.calls("train"))
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "loss":
            penalty = f"{strength} * sum(p.abs().sum() for p in {model}.parameters())"
            line = (node.end_lineno or node.lineno) + 1
            program.insert(line, f"{' ' * node.col_offset}loss = loss + {penalty}\n")
    return program.edited()


def _epoch_loops(program: _Source) -> Iterator[ast.For]:
    for node in ast.walk(program.tree):
        if isinstance(node, ast.For) and ast.unparse(node.target) == "epoch":
            yield node


_ONE_HOT = (
    "lambda out, y: nn.functional.mse_loss(out, nn.functional.one_hot(y, out.shape[1]).float())"
)


def _data(code: str, name: str, helper: str, share: float, right: str) -> Mutation:
    apply = partial(on_training_data, helper=helper, share=share)
    return Mutation(code, name, f"{share:g}", apply, frozenset(right.split()))


def _call(code: str, name: str, level: str, right: str, apply: Operator) -> Mutation:
    return Mutation(code, name, level, apply, frozenset(right.split()))


def _argument(calls: Sequence[str], name: str, text: str) -> Operator:
    return partial(scaled_argument, calls=calls, name=name, text=text)


def _activation(layer: str, function: str, *, last_only: bool = False) -> Operator:
    return partial(other_activation, layer=layer, function=function, last_only=last_only)


def _output(regression: str, classes: str) -> Operator:
    return partial(activated_output, regression=regression, classes=classes)


def _loss(regression: str, classes: str) -> Operator:
    return partial(other_loss, regression=regression, classes=classes)


_RATE = partial(_argument, _OPTIMIZERS, "lr")
_DECAY = partial(_argument, _OPTIMIZERS, "weight_decay")
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
    _call("HDB", "disable batching", "all", "P04 O02", without_batches),
    _call("HNE", "change number of epochs", "eighth", "O02", partial(fewer_epochs, divisor=8)),
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
        partial(other_initialisation, function="zeros_"),
    ),
    _call(
        "WCI",
        "change weight initialisation",
        "ones",
        "A04 A05",
        partial(other_initialisation, function="ones_"),
    ),
    _call(
        "OCH",
        "change optimizer",
        "plain",
        "O01 O02",
        partial(other_optimizer, names=("SGD", "Adam")),
    ),
    _call(
        "OCH",
        "change optimizer",
        "adadelta",
        "O01 O02",
        partial(other_optimizer, names=("Adadelta",)),
    ),
    _call("OCG", "change gradient clip", "thousandth", "O15", _CLIP("0.001 * {}")),
    _call("VRM", "remove validation set", "all", "", without_validation),
    _call("RCP", "change patience", "1", "", partial(less_patience, patience=1)),
    _call("WAB", "add bias", "all", "", with_bias),
    _call("WRB", "remove bias", "all", "", without_bias),
    _call("LCH", "change loss", "class", "L05 L11", _loss("nn.SoftMarginLoss()", "nn.NLLLoss()")),
    _call("LCH", "change loss", "squared", "L10", _loss("nn.L1Loss()", _ONE_HOT)),
    _call("RCD", "change dropout rate", "0.9", "R01", partial(other_dropout, rate=0.9)),
    _call("RCD", "change dropout rate", "0", "R03", partial(other_dropout, rate=0.0)),
    _call("RAW", "add weight regularisation", "l1", "O10 L20", partial(penalised, strength=0.01)),
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
