"""The mutation operators of DeepCrime: functions from a program's source to another's.

An operator finds its place with `ast` and edits the text there, so that a mutant differs from its
original in the mutated lines alone. It answers None where a program has no such place. The
operators act on the training data only where the original acts on the training data
(`TensorDataset(x_train, y_train)`), as DeepCrime's do.
"""

import ast
from collections.abc import Iterator, Sequence

from faults.source import Source, keyword, last_name

_ACTIVATIONS = ("ReLU", "Tanh", "relu")
_WEIGHT_INITS = (
    "kaiming_normal_",
    "kaiming_uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "orthogonal_",
    "normal_",
)
OPTIMIZERS = ("SGD", "Adam", "AdamW")

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


def on_training_data(source: str, *, helper: str, share: float) -> str | None:
    """Call a function on the training part, just before it becomes a data set."""
    program = Source(source)
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
    program = Source(source)
    for call in program.calls(*calls):
        shuffled = keyword(call, "shuffle")
        value = keyword(call, name)
        if value is not None and (name != "batch_size" or shuffled is not None):
            program.replace(value, text.format(ast.unparse(value)))
    return program.edited()


def without_batches(source: str) -> str | None:
    """All training rows in every step."""
    program = Source(source)
    for call in program.calls("DataLoader"):
        size, rows = keyword(call, "batch_size"), call.args[0]
        if keyword(call, "shuffle") is not None and size and isinstance(rows, ast.Call):
            program.replace(size, f"len({ast.unparse(rows.args[0])})")
    return program.edited()


def fewer_epochs(source: str, *, divisor: int) -> str | None:
    """A part of the epochs."""
    program = Source(source)
    for loop in _epoch_loops(program):
        assert isinstance(loop.iter, ast.Call)  # noqa: S101 - that is what makes it one
        count = loop.iter.args[-1]
        program.replace(count, f"max(1, {ast.unparse(count)} // {divisor})")
    return program.edited()


def other_activation(source: str, *, layer: str, function: str, last_only: bool) -> str | None:
    """Change the activations between layers (all, or the last one) to another."""
    program = Source(source)
    places = program.calls(*_ACTIVATIONS)
    for call in places[-1:] if last_only else places:
        inside = ", ".join(ast.unparse(a) for a in call.args)
        program.replace(call, function.format(inside) if call.args else layer)
    return program.edited()


def activated_output(source: str, *, regression: str, classes: str) -> str | None:
    """An activation on what the model answers."""
    program = Source(source)
    function = regression if "MSELoss" in source else classes
    for node in ast.walk(program.tree):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            back = node.body[-1]
            if isinstance(back, ast.Return) and back.value is not None:
                program.replace(back.value, function.format(ast.unparse(back.value)))
    return program.edited()


def other_initialisation(source: str, *, function: str) -> str | None:
    """Fill all weights with a constant."""
    program = Source(source)
    for call in program.calls(*_WEIGHT_INITS):
        if ast.unparse(call.func).startswith("nn.init."):
            program.replace(call, f"nn.init.{function}({ast.unparse(call.args[0])})")
    return program.edited()


def other_optimizer(source: str, *, names: Sequence[str]) -> str | None:
    """Another optimizer with the same rate and decay: the first of the names that is another."""
    program = Source(source)
    for call in program.calls(*OPTIMIZERS):
        package, _, old = ast.unparse(call.func).rpartition(".")
        new = next(name for name in names if name != old)
        kept = [k for k in call.keywords if k.arg in {"lr", "weight_decay"}]
        inside = [ast.unparse(call.args[0]), *(f"{k.arg}={ast.unparse(k.value)}" for k in kept)]
        program.replace(call, f"{package}.{new}({', '.join(inside)})")
    return program.edited()


def without_validation(source: str) -> str | None:
    """Take away, in the loop over epochs, all that has to do with the validation part."""
    program = Source(source)
    for loop in _epoch_loops(program):
        for statement in loop.body:
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            if any(name.startswith(("val_", "x_val")) for name in names):
                program.delete(statement)
    return program.edited()


def less_patience(source: str, *, patience: int) -> str | None:
    """Stop earlier."""
    program = Source(source)
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
    program = Source(source)
    for call in program.calls("Linear", "Conv2d"):
        if keyword(call, "bias") is None:
            inside = ", ".join([ast.unparse(a) for a in [*call.args, *call.keywords]])
            program.replace(call, f"{ast.unparse(call.func)}({inside}, bias=False)")
    return program.edited()


def other_loss(source: str, *, regression: str, classes: str) -> str | None:
    """Another loss for the training."""
    program = Source(source)
    for call in program.calls("MSELoss", "CrossEntropyLoss"):
        program.replace(call, regression if last_name(call) == "MSELoss" else classes)
    return program.edited()


def other_dropout(source: str, *, rate: float) -> str | None:
    """Another rate for all dropout layers."""
    program = Source(source)
    for call in program.calls("Dropout"):
        program.replace(call.args[0], str(rate))
    return program.edited()


def penalised(source: str, *, strength: float) -> str | None:
    """Add the sum of all weights' sizes to the loss."""
    program = Source(source)
    model = next(ast.unparse(c.func).rsplit(".", 1)[0] for c in program.calls("train"))
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "loss":
            penalty = f"{strength} * sum(p.abs().sum() for p in {model}.parameters())"
            line = (node.end_lineno or node.lineno) + 1
            program.insert(line, f"{' ' * node.col_offset}loss = loss + {penalty}\n")
    return program.edited()


def _epoch_loops(program: Source) -> Iterator[ast.For]:
    for node in ast.walk(program.tree):
        if isinstance(node, ast.For) and ast.unparse(node.target) == "epoch":
            yield node
