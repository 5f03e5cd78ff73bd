"""Edits of what a loss is given, and how it sums up."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from torchdx.rules.base import Prescription
from torchdx.trials.edits import Change, Source, editor

_TORCH = frozenset({"torch", "F", "nn.functional", "functional", "torch.nn.functional"})


@editor("reduction")
def _reduction(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`reduction="sum"` on the finding's line; where it has none, the only one of the file."""
    del prescription
    found = [node for here in (True, False) for node in _summing(source, here=here)]
    everywhere = list(_summing(source, here=False))
    if found and (len(everywhere) == 1 or found[0] not in everywhere[1:]):
        yield found[0], '"mean"'


def _summing(source: Source, *, here: bool) -> Iterator[ast.expr]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        last = node.end_lineno or node.lineno
        if here and not node.lineno <= source.number <= last:
            continue
        for keyword in node.keywords:
            value = keyword.value
            summing = isinstance(value, ast.Constant) and value.value == "sum"
            if keyword.arg == "reduction" and summing:
                yield value


# -- another loss, or another function, by name ----------------------------------------------------


def _only(source: Source, *names: str) -> ast.Call | None:
    """The one call on the finding's line, or, where it has none, the one of the file."""
    found = list(source.calls(*names)) or list(source.calls(*names, here=False))
    return found[0] if len(found) == 1 else None


def _renamed(source: Source, call: ast.Call | None, names: Mapping[str, str]) -> Iterator[Change]:
    """A call `owner.old(...)` under its new name."""
    if call is not None and isinstance(call.func, ast.Attribute):
        yield call.func, f"{source.segment(call.func.value)}.{names[call.func.attr]}"


def _has_settings(source: Source, names: Iterable[str]) -> bool:
    """Whether a call of these has settings that another loss would not take."""
    taken = {"weight", "reduction", "ignore_index", "input", "target"}
    calls = source.calls(*names, here=False)
    return any(keyword.arg not in taken for call in calls for keyword in call.keywords)


@editor("nll_loss")
def _nll_loss(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`cross_entropy` becomes `nll_loss`."""
    del prescription
    names = {"cross_entropy": "nll_loss", "CrossEntropyLoss": "NLLLoss"}
    if not _has_settings(source, names):
        yield from _renamed(source, _only(source, *names), names)


@editor("cross_entropy")
def _cross_entropy(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`nll_loss` becomes `cross_entropy`, or a softmax before it a log-softmax."""
    if "softmax in place" in prescription.text:
        names = {"softmax": "log_softmax", "Softmax": "LogSoftmax"}
        if not _alone(source, prescription, *names):
            return
    elif "log_softmax before nll_loss" in prescription.text:
        names = {"nll_loss": "cross_entropy", "NLLLoss": "CrossEntropyLoss"}
    else:
        return
    yield from _renamed(source, _only(source, *names), names)


@editor("sigmoid")
def _sigmoid(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`nn.Softmax(dim=1)` of a single unit becomes `nn.Sigmoid()`; the function likewise."""
    call = _only(source, "Softmax", "softmax")
    if call is None or not isinstance(call.func, ast.Attribute):
        return
    if not _alone(source, prescription, "Softmax", "softmax"):
        return
    owner = source.segment(call.func.value)
    if call.func.attr == "Softmax":
        yield call, f"{owner}.Sigmoid()"
    elif owner not in _TORCH:
        yield call, f"{owner}.sigmoid()"
    elif call.args:
        yield call, f"{owner}.sigmoid({source.segment(call.args[0])})"


@editor("softmax_dim")
def _softmax_dim(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`dim=0` of the softmax, or none, becomes the dimension of the classes."""
    call = _only(source, "softmax", "log_softmax", "Softmax", "LogSoftmax")
    if call is None:
        return
    named = [keyword.value for keyword in call.keywords if keyword.arg == "dim"]
    bare = not call.keywords and not call.args and isinstance(call.func, ast.Attribute)
    if named:
        yield named[0], prescription.to
    elif bare and source.segment(call.func).endswith("Softmax"):
        yield call, f"{source.segment(call.func)}(dim={prescription.to})"


@editor("grad_scaler")
def _bfloat16(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The only `autocast` with `torch.float16` gets `torch.bfloat16`."""
    del prescription
    given = [
        value
        for call in source.calls("autocast", here=False)
        for value in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(value, ast.Attribute) and value.attr in {"float16", "half"}
    ]
    if len(given) == 1:
        yield given[0], f"{source.segment(given[0].value)}.bfloat16"


# -- what a loss is given --------------------------------------------------------------------------


@editor("loss_scale")
def _loss_scale(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`loss.backward()` becomes `(loss / 8).backward()`."""
    number = prescription.to.removeprefix("1/")
    for call in source.calls("backward"):
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            yield call.func.value, f"({call.func.value.id} / {number})"


_WEIGHTS = {
    "CrossEntropyLoss": "weight",
    "cross_entropy": "weight",
    "NLLLoss": "weight",
    "nll_loss": "weight",
    "BCEWithLogitsLoss": "pos_weight",
    "binary_cross_entropy_with_logits": "pos_weight",
}


@editor("class_weights")
def _class_weights(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The only loss with weights of classes is made without them."""
    del prescription
    weighted = [
        (call, keyword)
        for name, setting in _WEIGHTS.items()
        for call in source.calls(name, here=False)
        for keyword in call.keywords
        if keyword.arg == setting
    ]
    if len(weighted) == 1:
        call, dropped = weighted[0]
        kept = [source.segment(each) for each in call.args]
        kept += [source.segment(each) for each in call.keywords if each is not dropped]
        yield call, f"{source.segment(call.func)}({', '.join(kept)})"


@editor("same_shape")
def _same_shape(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The target, `y` of `loss(pred, y)` or of `pred - y`, is given the predictions' shape."""
    del prescription
    losses = list(source.calls("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"))
    statement = source.statement()
    pairs = [call.args[:2] for call in losses]
    if not losses and statement is not None:
        parts = (node for node in ast.walk(statement) if isinstance(node, ast.BinOp))
        pairs = [[node.left, node.right] for node in parts if isinstance(node.op, ast.Sub)]
    if len(pairs) == 1 and all(isinstance(each, ast.Name) for each in pairs[0]):
        given, target = (source.segment(each) for each in pairs[0])
        yield pairs[0][1], f"{target}.view_as({given})"


_MODULES = {"Relu": "ReLU", "Gelu": "GELU", "Silu": "SiLU", "Elu": "ELU"}


@editor("linear_head")
def _linear_head(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`F.relu(self.fc(x))` and `self.act(self.fc(x))` become `self.fc(x)`, if the line runs once.

    Else the only `nn.Tanh()` becomes `nn.Identity()`, where the program runs no other tanh. A
    dropout has to be moved by hand.
    """
    name = prescription.where
    if name == "dropout":
        return
    module = _MODULES.get(name, name)
    here = list(_applied(source, name.lower(), module)) if prescription.once else []
    made = _only(source, module)
    if len(here) == 1:
        yield here[0], source.segment(here[0].args[0])
    elif (
        made is not None
        and prescription.once == "pass"
        and not list(source.calls(name.lower(), here=False))
    ):
        yield from _replaced(source, made, "Identity()")


def _applied(source: Source, function: str, module: str) -> Iterator[ast.Call]:
    """Calls on the finding's line: of torch's function, or of what the file makes such a module."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
            continue
        if not node.lineno <= source.number <= (node.end_lineno or node.lineno):
            continue
        owner, _, last = source.segment(node.func).rpartition(".")
        if (last == function and owner in _TORCH) or _is_made(source, node.func, module):
            yield node


def _is_made(source: Source, called: ast.expr, module: str) -> bool:
    """Whether all that the file assigns to a name, such as `self.act`, is such a module."""
    name = source.segment(called)
    given = [
        node.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign)
        and any(source.segment(target) == name for target in node.targets)
    ]
    made = list(source.calls(module, here=False))
    return bool(given) and all(value in made for value in given)


def _alone(source: Source, prescription: Prescription, *names: str) -> bool:
    """Whether changing the one call that has one of these names changes one operation.

    A call on the finding's line has to run once there; a module that is made elsewhere, in all.
    """
    here = bool(list(source.calls(*names)))
    return prescription.once == "pass" or (here and prescription.once == "line")


def _replaced(source: Source, call: ast.Call, by: str) -> Iterator[Change]:
    if isinstance(call.func, ast.Attribute):
        yield call, f"{source.segment(call.func.value)}.{by}"


@editor("stable_operation")
def _stable_operation(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`x.sqrt()` becomes `(x + 1e-12).sqrt()`, `torch.sqrt(x)` likewise."""
    found = list(source.calls("sqrt"))
    if prescription.where != "Sqrt" or len(found) != 1:
        return
    call = found[0]
    if not isinstance(call.func, ast.Attribute):
        return
    owner = source.segment(call.func.value)
    if owner == "torch" and len(call.args) == 1:
        yield call.args[0], f"{source.segment(call.args[0])} + 1e-12"
    elif owner not in {"torch", "math", "np", "numpy"} and not call.args:
        yield call.func.value, f"({owner} + 1e-12)"
