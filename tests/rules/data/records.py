"""Records of tables of rows, made by hand, for the rules about data."""

from torchdx.record.model import Record

INPUTS = {
    "loss": "classes",
    "rows": 1000,
    "distinct": 1000,
    "shape": [20],
    "dtype": "float32",
    "mean": 0.0,
    "std": 1.0,
    "min": -3.0,
    "max": 3.0,
    "columns": 20,
    "scales": [0.9, 0.95, 1.0, 1.05, 1.1],
    "offsets": [0.0, 0.0, 0.0, 0.0, 0.0],
    "constant": 0.0,
    "power": 1.1,
    "nonfinite": 0,
    "whole": 0.0,
    "batches": 40,
    "repeats": 0.0,
    "following": 0.0,
    "different": 40,
    "conflicts": 0.0,
    "labelled": 1000,
}
NEIGHBOURS = {
    "loss": "classes",
    "rows": 1000,
    "numbers": False,
    "agreement": 0.9,
    "chance": 0.25,
    "deviation": 0.01,
    "shift": 1,
    "shifted": 0.25,
    "order": 1.0,
    "suspect": 0.0,
    "sure": 0.95,
    "stray": 0.0,
    "closest": 0.35,
}
TARGETS = {
    "graph": 1,
    "loss": "classes",
    "op": "NllLoss",
    "classes": 4,
    "normal": True,
    "rows": 1000,
    "counts": [250.0, 250.0, 250.0, 250.0],
    "distinct": 4,
    "whole": True,
    "min": 0.0,
    "max": 3.0,
    "mean": 1.5,
    "variance": 1.25,
    "row_sum": None,
    "several": 0,
    "none": 0,
    "ignored": 0,
    "ignore_index": -100,
    "first": {"step": 1, "loss": 1.4, "root": 1.4, "answer": [0.25] * 4, "spread": 0.01},
}
PHASE = {
    "e": "phase",
    "loader": 1,
    "step": 0,
    "line": None,
    "batches": 10,
    "backwards": 10,
    "steps": 10,
    "shuffled": True,
    "training": True,
    "active": 0,
    "no_grad": False,
    "accuracy": None,
    "loss": None,
    "rows": 100,
    "complete": True,
}


def made(*, inputs=(), near=(), targets=(), judged=None, held_out=(), losses=(), signals=()):
    """A record of one table of learned rows; what is given stands in place of the ordinary.

    judged    what is ordinary of the rows that the model is judged on does not hold; None for none
    held_out  accuracies of validation passes
    signals   name -> (place, values)
    """
    record = Record()
    record.apply({"e": "line", "id": 1, "file": "a.py", "line": 7, "text": "out = model(x)"})
    learned = {"role": "learned", "model": "", "set": 1}
    _event(record, "inputs", {**INPUTS, **dict(inputs), **learned})
    if near is not None:
        _event(record, "neighbours", {**NEIGHBOURS, **dict(near), **learned})
    if targets is not None:
        _event(record, "targets", {**TARGETS, **dict(targets)})
    if judged is not None:
        role = {"role": "judged", "model": "", "set": 2}
        _event(record, "neighbours", {**NEIGHBOURS, **judged, **role})
        _event(record, "inputs", {**INPUTS, **judged, **role})
    for accuracy in held_out:
        quiet = {"backwards": 0, "steps": 0, "training": False, "accuracy": accuracy}
        record.apply({**PHASE, **quiet})
    if losses:
        steps = list(range(1, len(losses) + 1))
        record.apply({"e": "steps", "step": steps, "loss": list(losses)})
    for name, (place, values) in dict(signals).items():
        series = record.signals.setdefault(name, {})
        series[place] = list(enumerate(values, 1))
    return record


def _event(record, kind, facts):
    record.apply({"e": "event", "kind": kind, "step": 1, "line": 1, "facts": facts})
