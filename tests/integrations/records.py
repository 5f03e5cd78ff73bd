"""Records with names, values and ends that are hard to carry over."""

import math

from torchdx.cli.opening import open_run
from torchdx.integrations.material import Material
from torchdx.record.writer import Writer

STARTED, LASTED = 1_700_000_000.0, 100.0
ODD = "encoder/<b>ä</script>.0"


def written(path, *entries, end=True):
    """The path of a record with these entries between its first and its last."""
    writer = Writer(path)
    facts = {"run": "train", "argv": ["train.py", "--lr", "0.1"], "started": STARTED, "pid": 7}
    writer.append({"e": "meta", **facts, "rank": 0, "world": 1, "torch": "2", "python": "3"})
    for entry in entries:
        writer.append(entry)
    if end:
        writer.append({"e": "end", "status": 0, "elapsed_s": LASTED, "spent_s": 1.0})
    writer.close()
    return path


def material_of(path):
    return Material(*open_run(str(path)))


def optimizer(number, cls, **defaults):
    facts = {"step": 0, "defaults": defaults, "params": [f"{number}.w"], "frozen": []}
    return {"e": "optimizer", "id": number, "cls": cls, **facts, "trained": {}}


def phase(step, loader, accuracy, loss, *, model="", backwards=0):
    """A pass over a loader: for validation, when it has no backward passes."""
    facts = {"batches": 2, "backwards": backwards, "steps": 0, "shuffled": False, "training": False}
    scored = {"active": 0, "no_grad": True, "accuracy": accuracy, "loss": loss, "rows": 64}
    where = {"loader": loader, "step": step, "model": model}
    return {"e": "phase", **facts, **scored, **where}


ENTRIES = [
    optimizer(1, "SGD", lr=0.1, momentum=0.9, foreach=None),
    optimizer(2, "Adam", lr=0.001, betas=[0.9, 0.999]),
    {"e": "lr", "optimizer": 1, "step": 1, "lr": 0.1},
    {"e": "lr", "optimizer": 1, "step": 6, "lr": 0.01},
    {"e": "lr", "optimizer": 2, "step": 1, "lr": 0.001},
    {"e": "steps", "step": [1, 2, 5, 10], "loss": [2.5, 2.0, math.nan, math.inf]},
    {"e": "places", "id": 1, "names": ["features.0", ODD]},
    {"e": "places", "id": 2, "names": [""]},
    {"e": "signals", "step": 1, "places": 1, "v": {"activation.std": [0.5, 0.25]}},
    {"e": "signals", "step": 10, "places": 1, "v": {"activation.std": [0.75, -math.inf]}},
    {"e": "signals", "step": 10, "places": 2, "v": {"time.data": [0.01]}},
    phase(5, 2, 0.5, 1.5),
    phase(10, 2, 0.75, None),
    {
        "e": "totals",
        "steps": 10,
        "backwards": 10,
        "shapes": {},
        "graphs": {},
        "optimizers": {"1": 10, "2": 10},
        "schedulers": {},
    },
]
