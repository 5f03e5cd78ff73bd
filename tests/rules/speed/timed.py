"""Records of runs whose times a test gives: real waiting would take as long as it says."""

from torchdx.record.model import Record

FILE = "train.py"


def timed(*, steps=1000, data=0.0, compute=0.001, other=0.0, before=0.0, shares=None):
    """A run of so many steps; seconds a step, and signals that stay as they are.

    Lines are numbered as in the file; what is said of them is `line N`.
    """
    record = Record()
    for number in range(1, 20):
        text = f"line {number}"
        record.apply({"e": "line", "id": number, "file": FILE, "line": number, "text": text})
    parts = {"data": data, "compute": compute, "other": other, "before": before, "apart": 0.0}
    signals = {f"time.{name}": [value] for name, value in parts.items()}
    signals |= {name: [value] for name, value in (shares or {}).items()}
    record.apply({"e": "places", "id": 1, "names": [""]})
    for step in (5, steps // 2, steps):
        record.apply({"e": "signals", "step": step, "places": 1, "v": signals})
    record.steps = steps
    return record


def told(record, kind, *, line=None, **facts):
    """The record, with an event."""
    entry = {"e": "event", "kind": kind, "step": 5, "line": line, "facts": facts}
    record.apply(entry)
    return record


def loader(record, *, workers=0, rows=32, cores=2.0, line=9):
    """The record, with the loader that was learnt from; its loop stands in line 3."""
    facts = {
        "loader": 1,
        "cls": "Rows",
        "rows": rows,
        "workers": workers,
        "persistent": False,
        "loop": 3,
    }
    told(record, "loader", line=line, threads=1, cores=cores, **facts)
    phase = {"loader": 1, "step": 0, "batches": 50, "backwards": 50, "steps": 50, "line": 3}
    rest = {"shuffled": True, "training": True, "active": 0, "no_grad": False, "rows": 0}
    record.apply({"e": "phase", **phase, **rest, "accuracy": None, "loss": None})
    return record


def found(record, *lines):
    """The record, with the lines at which the thread was found: (line, phase, inside, count)."""
    return told(record, "whereabouts", samples=sum(x[-1] for x in lines), lines=list(lines))


def reads(
    record, line, *, count, looping, blocked=None, cycles=10, device="cpu", op="item()", often=1
):
    """The record, with reads at a line: how many a step, and seconds a step."""
    return told(
        record,
        "reads",
        line=line,
        op=op,
        device=device,
        cycles=cycles,
        seconds=0.01 * cycles,
        count=count * cycles,
        read=round(cycles * often),
        blocked=cycles * (looping / 2 if blocked is None else blocked),
        looping=cycles * looping,
    )
