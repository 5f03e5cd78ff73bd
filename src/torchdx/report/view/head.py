"""What run this is: its program, how long it ran, how it ended, and what watching cost."""

from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

from torchdx.record.model import Model, Record


class Head(TypedDict):
    """Facts of a run, as a reader wants them at the top of a page.

    title     the program's name; `command` its whole command line
    started   Unix seconds; `elapsed`, `spent` seconds, None while it runs or where it was killed
    ended     `running`, `well`, `failed`, `killed`
    facts     (what, value) of versions, models, optimizers
    warnings  what went wrong with watching itself
    """

    name: str
    title: str
    command: str
    started: float | None
    elapsed: float | None
    spent: float | None
    budget: float | None
    sampled: dict[str, int]
    steps: int
    ended: str
    facts: list[tuple[str, str]]
    warnings: list[str]


def head_of(record: Record, path: Path, *, live: bool) -> Head:
    """What run this is; `live` when its program still runs."""
    argv = [str(part) for part in record.meta.get("argv") or []]
    end = record.end
    return Head(
        name=path.stem,
        title=Path(argv[0]).name if argv else "notebook",
        command=" ".join(argv),
        started=record.meta.get("started"),
        elapsed=end.get("elapsed_s"),
        spent=end.get("spent_s"),
        budget=end.get("budget"),
        sampled=dict(end.get("sampled") or {}),
        steps=record.steps,
        ended=_ended(end, live=live),
        facts=list(_facts(record)),
        warnings=list(_warnings(record)),
    )


def _ended(end: dict[str, Any], *, live: bool) -> str:
    if live:
        return "running"
    if not end:
        return "killed"
    return "failed" if end.get("status") else "well"


def _facts(record: Record) -> list[tuple[str, str]]:
    facts = []
    for model in record.models:
        count = sum(_size(shape) for shape in model.parameters.values())
        facts.append(("model", f"{model.cls}, {count:,} parameters, {len(model.modules)} modules"))
        facts.append(("layers", _layers(model)))
    for optimizer in record.optimizers.values():
        rate = optimizer.lrs[0][1] if optimizer.lrs else optimizer.defaults.get("lr")
        said = f"{optimizer.cls}, {optimizer.steps:,} steps"
        facts.append(("optimizer", said + (f", lr {rate:g}" if rate is not None else "")))
    rows = [
        value for series in record.signals.get("batch.rows", {}).values() for _, value in series
    ]
    if error := record.end.get("error"):
        facts.append(("ended with", error))
    if rows:
        low, high = int(min(rows)), int(max(rows))
        facts.append(("batch", f"{high} rows" if low == high else f"{low} to {high} rows"))
    facts += [(name, str(record.meta[name])) for name in ("torch", "python") if name in record.meta]
    if (world := record.meta.get("world", 1)) > 1:
        facts.append(("ranks", str(world)))
    return facts


def _layers(model: Model) -> str:
    """The classes of the modules that hold no other, with how many there are of each."""
    paths = list(model.modules)
    inner = [
        p for p in paths if not any(q != p and q.startswith(p + "." if p else "") for q in paths)
    ]
    counts = Counter(model.modules[path] for path in inner)
    return ", ".join(cls if n == 1 else f"{n} {cls}" for cls, n in counts.most_common())


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _warnings(record: Record) -> list[str]:
    warnings = []
    if record.torn_bytes:
        warnings.append(f"{record.torn_bytes} bytes behind the record's last whole frame are lost")
    if record.failure:
        warnings.append(
            f"torchdx stopped watching at step {record.failed_at} because of an error of its own: "
            f"{record.failure}; nothing can be said of what came after"
        )
    return warnings
