"""Records that hold what probes measured, for the tests of rules that rest on them."""

from typing import Any

from torchdx.record.model import Record

LINES = {
    1: "model = Net()",
    2: "self.drop = nn.Dropout(0.5)",
    3: "loss.backward()",
}


def record(*, steps: int = 200, text: str = "") -> Record:
    """A run of one model with four parts; `text` stands on line 4."""
    run = Record()
    for number, line in (*LINES.items(), (4, text)):
        run.apply({"e": "line", "id": number, "file": "train.py", "line": number, "text": line})
    parts = {"": "Net", "first": "Linear", "drop": "Dropout", "norm": "BatchNorm1d"}
    run.apply(
        {
            "e": "model",
            "id": 1,
            "cls": "Net",
            "line": 1,
            "params": [["first.weight", [4, 6], True], ["last.weight", [3, 4], True]],
            "modules": {**parts, "last": "Linear"},
            "own": {"first": ["first.weight"], "last": ["last.weight"]},
            "lines": {"": 1, "first": 1, "drop": 2, "norm": 2, "last": 1},
        }
    )
    run.steps = steps
    return run


def probe(run: Record, kind: str, step: int, **facts: Any) -> Record:
    """Add what a probe measured."""
    facts = {"kind": kind, "model": "", **facts}
    run.apply({"e": "event", "kind": "probe", "step": step, "line": 3, "facts": facts})
    return run


def modes(run: Record, step: int, **facts: Any) -> Record:
    """Add losses by mode: all 1.0, nothing random, no norms, unless told otherwise."""
    plain = {"rows": 32, "train_loss": 1.0, "batch_loss": 1.0, "eval_loss": 1.0}
    differences = {"eval_difference": 0.0, "train_difference": 0.0}
    return probe(run, "modes", step, **{**plain, **differences, "drawn": [], "norms": [], **facts})


def norm(**facts: Any) -> dict[str, Any]:
    """One batch norm in two modes; `train` and `plain` may be given in part."""
    given = {"per_channel": 32, "variance": 1.0, "off_mean": 0.0, "off_variance": 1.0}
    given |= {"after": None, "direct": False}
    whole = {"path": "norm", "cls": "BatchNorm1d", "momentum": 0.1, "seen": 60, **facts}
    parts = {part: {**given, **facts.get(part, {})} for part in ("train", "plain")}
    return {**whole, **parts}


def validation(run: Record) -> Record:
    """Add a pass in evaluation mode, without gradients."""
    zeros = dict.fromkeys(("loader", "step", "backwards", "steps", "active", "rows"), 0)
    rest = {"batches": 1, "shuffled": False, "training": False, "no_grad": True}
    run.apply({"e": "phase", **zeros, **rest, "accuracy": None, "loss": None, "line": 3})
    return run
