"""Edits of numbers and switches that are given by name on the line of a finding."""

import ast
from collections.abc import Iterator

from torchdx.rules.base import Prescription
from torchdx.treatments.base import factor
from torchdx.trials.edits import Change, Source, editor

_CLIPPING = ("clip_grad_norm_", "clip_grad_value_")
_DROPOUT = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")
_RECURRENT = ("RNN", "LSTM", "GRU", "MultiheadAttention", "TransformerEncoderLayer",
              "TransformerDecoderLayer", "Transformer")  # fmt: skip


@editor("step_size")
def _step_size(source: Source, prescription: Prescription) -> Iterator[Change]:
    yield from _scaled(source, "lr", factor(prescription.to, 0.1))


@editor("weight_decay")
def _weight_decay(source: Source, prescription: Prescription) -> Iterator[Change]:
    yield from _scaled(source, "weight_decay", factor(prescription.to, 0.01))


@editor("optimizer_setting")
def _optimizer_setting(source: Source, prescription: Prescription) -> Iterator[Change]:
    text = f"({prescription.to})" if "," in prescription.to else prescription.to
    found = list(_given(source, prescription.where))
    if len(found) == 1:
        yield found[0], text


@editor("norm_momentum")
def _norm_momentum(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The only norm with that momentum: what is tried changes all that have it."""
    found = list(_given(source, "momentum"))
    everywhere = [
        source.segment(keyword.value)
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and "Norm" in source.segment(call.func)
        for keyword in call.keywords
        if keyword.arg == "momentum"
    ]
    if len(found) == 1 and everywhere.count(source.segment(found[0])) <= 1:
        yield found[0], prescription.to


@editor("clipping")
def _clipping(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The limit, by its name or as the second argument."""
    by = factor(prescription.to, 10.0)
    for call in source.calls(*_CLIPPING):
        limits = [k.value for k in call.keywords if k.arg in {"max_norm", "clip_value"}]
        for limit in (limits or call.args[1:2])[:1]:
            if (value := _number(limit)) is not None:
                yield limit, f"{value * by:.3g}"


@editor("dropout")
def _dropout(source: Source, prescription: Prescription) -> Iterator[Change]:
    """The share of the only dropout that the line makes."""
    calls = list(source.calls(*_DROPOUT))
    for call in calls if len(calls) == 1 else ():
        shares = call.args[:1] or [k.value for k in call.keywords if k.arg == "p"]
        for share in shares:
            if (value := _number(share)) is not None:
                yield share, f"{value * factor(prescription.to, 0.5):.3g}"


@editor("dropout_switch")
def _dropout_switch(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`training=self.training`, inside a method of a module."""
    if prescription.to not in {"self.training", ""} or not _in_method(source):
        return
    for call in source.calls("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"):
        named = [k for k in call.keywords if k.arg == "training"]
        if named:
            yield named[0].value, "self.training"
        elif 1 <= len(call.args) <= 2:  # noqa: PLR2004  # input and share
            yield _with(source, call, "training=self.training")


@editor("shuffle")
def _shuffle(source: Source, prescription: Prescription) -> Iterator[Change]:
    """`shuffle=True`: on the line, else of the only loader whose name says that it trains."""
    del prescription
    named = [
        node.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and "train" in source.segment(node.targets[0]).lower()
    ]
    loaders = list(source.calls("DataLoader"))
    everywhere = [c for c in source.calls("DataLoader", here=False) if any(c is n for n in named)]
    chosen = loaders or everywhere
    if len(chosen) != 1:
        return
    keywords = {k.arg: k.value for k in chosen[0].keywords}
    if "shuffle" in keywords:
        yield keywords["shuffle"], "True"
    elif not {"sampler", "batch_sampler", None} & set(keywords):
        yield _with(source, chosen[0], "shuffle=True")


@editor("batch_first")
def _batch_first(source: Source, prescription: Prescription) -> Iterator[Change]:
    del prescription
    calls = list(source.calls(*_RECURRENT))
    if len(calls) == 1 and all(k.arg != "batch_first" for k in calls[0].keywords):
        yield _with(source, calls[0], "batch_first=True")


def _scaled(source: Source, keyword: str, by: float) -> Iterator[Change]:
    """The only number of that name on the line, times `by`."""
    found = list(_given(source, keyword))
    if len(found) == 1 and (value := _number(found[0])) is not None:
        yield found[0], f"{value * by:.3g}"


def _given(source: Source, keyword: str) -> Iterator[ast.expr]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            last = node.end_lineno or node.lineno
            if node.lineno <= source.number <= last:
                yield from (k.value for k in node.keywords if k.arg == keyword)


def _number(node: ast.expr) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _with(source: Source, call: ast.Call, argument: str) -> Change:
    """A call with one more argument behind the others."""
    text = source.segment(call)
    inner = text[:-1].rstrip().rstrip(",")
    return call, f"{inner}{'' if inner.endswith('(') else ', '}{argument})"


def _in_method(source: Source) -> bool:
    around = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
        and node.lineno <= source.number <= (node.end_lineno or node.lineno)
    ]
    inner = max(around, key=lambda node: node.lineno, default=None)
    return inner is not None and bool(inner.args.args) and inner.args.args[0].arg == "self"
