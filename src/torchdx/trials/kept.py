"""What stays of a trial: `trial.json` in its folder, `.torchdx/trials/<run>-<CODE>/`.

`docs/findings-schema.md` documents it. The number in `schema` rises when a field changes meaning or
goes away; new fields do not change it. The last trial of a finding is kept, however it ended.
"""

import contextlib
import glob
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchdx import __version__
from torchdx.errors import RecordError
from torchdx.record.index import FOLDER
from torchdx.record.reader import read_entries

if TYPE_CHECKING:
    from torchdx.trials.edits import Edit
    from torchdx.trials.measures import Measure
    from torchdx.trials.runner import Run, Trial
    from torchdx.trials.verdict import Compared

SCHEMA = 1
NAME = "trial.json"
TRIALS = "trials"  # the folder of their folders, beside the records


def folder_of(run: str, code: str) -> Path:
    """Where the trial of a finding goes."""
    return Path(FOLDER) / TRIALS / f"{run}-{code}"


def as_object(trial: "Trial", edit: "Edit | str") -> dict[str, Any]:
    """A trial as one plain object; `edit` is what the finding asks for, or why there is none."""
    plan = trial.plan
    return {
        "schema": SCHEMA,
        "torchdx": __version__,
        "run": trial.folder.name.removesuffix(f"-{plan.code}"),
        "started": plan.started,
        "at": time.time(),
        "code": plan.code,
        "name": plan.name,
        "prescription": asdict(plan.prescription),
        "treatment": plan.treatment.change,
        "seeds": list(plan.seeds),
        "steps": plan.steps or None,
        "measure": _measure(trial.measure),
        "arms": list(_arms(trial)),
        "repeats": trial.repeats,
        "noise": None if trial.repeats is None else _number(trial.noise),
        **_shown(trial),
        "ended": trial.ended,
        "interrupted": trial.interrupted,
        "went": trial.went,
        "came": trial.came,
        "elsewhere": sorted({path for run in trial.runs for path in run.elsewhere}),
        "edit": None if isinstance(edit, str) else asdict(edit),
        "no_edit": edit if isinstance(edit, str) else "",
        "cost_s": sum(run.wall_s for run in trial.runs if not run.kept),
    }


def write(trial: "Trial", edit: "Edit | str") -> None:
    """Keep a trial in its folder, whole or not at all; one without a run leaves what is there.

    Raises:
        OSError: the folder cannot be written.
    """
    if not trial.runs:
        return
    text = json.dumps(as_object(trial, edit), ensure_ascii=False, allow_nan=False, indent=1)
    partial = trial.folder / f"{NAME}.part"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(trial.folder / NAME)


def trials_of(record_path: Path) -> list[dict[str, Any]]:
    """The trials of a run, in the order in which they were made.

    They are looked for beside its record and here. Damaged files are left aside, other schemas,
    and trials of an earlier run of the same name.
    """
    record_path = record_path.absolute()
    pattern = f"{glob.escape(record_path.stem)}-*/{NAME}"
    homes = {(base / TRIALS).resolve() for base in (record_path.parent, Path(FOLDER))}
    found = [kept for home in homes for path in home.glob(pattern) if (kept := _read(path))]
    own = [kept for kept in found if kept["run"] == record_path.stem]
    if own:
        started = _started(record_path)
        own = [kept for kept in own if started is None or kept["started"] in {None, started}]
    return sorted(own, key=lambda kept: float(kept["at"]))


def in_words(kept: Mapping[str, Any]) -> str:
    """`L09: cured, 2.303 → 0.42 loss of rows trained on`: a trial in a line."""
    said = f"{kept['code']}: {kept['verdict']['word']}"
    means = [kept["means"].get(name) for name in ("as it is", "treated")]
    if kept["measure"] and None not in means:
        before, after = means
        return f"{said}, {before:.4g} → {after:.4g} {kept['measure']['words']}"
    because = kept["verdict"]["because"]
    return f"{said}: {because}" if because else said


def _measure(measure: "Measure | None") -> dict[str, Any] | None:
    if measure is None:
        return None
    facts = {"key": measure.key, "words": measure.words, "unit": measure.unit}
    return facts | {"higher": measure.higher}


def _arms(trial: "Trial") -> Iterator[dict[str, Any]]:
    """Those that were run, in order, the second run as it is among them."""
    control = {arm.name for arm in trial.plan.arms if arm.control}
    order = [arm.name for arm in trial.plan.arms]
    place = {name: order.index(name) for name in order}  # a second run as it is stands first too
    names = sorted({run.arm for run in trial.runs}, key=lambda name: (place.get(name, 0), name))
    for name in names:
        runs = sorted((r for r in trial.runs if r.arm == name), key=lambda r: r.seed)
        values = trial.values(name)
        yield {
            "name": name,
            "control": name in control,
            "values": _by_seed(runs, {seed: _number(value) for seed, value in values.items()}),
            "told": _by_seed(runs, {r.seed: trial.plan.code in r.codes for r in runs}),
            "wall_s": _by_seed(runs, {r.seed: r.wall_s for r in runs}),
            "steps": _by_seed(runs, {r.seed: r.steps for r in runs}),
            "errors": {str(r.seed): r.error for r in runs if r.error},
        }


def _by_seed(runs: "list[Run]", values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(run.seed): values.get(run.seed) for run in runs}


def _shown(trial: "Trial") -> dict[str, Any]:
    """The means of the arms, the comparisons and the verdict."""
    verdict = trial.verdict
    values = {arm.name: list(trial.values(arm.name).values()) for arm in trial.plan.arms}
    means = {name: _number(math.fsum(own) / len(own)) for name, own in values.items() if own}
    word = "cannot tell" if verdict is None else verdict.word
    return {
        "means": means,
        "verdict": {"word": word, "because": trial.because},
        "effect": None if verdict is None else _compared(verdict.effect),
        "rivals": [] if verdict is None else [_compared(rival) for rival in verdict.rivals],
    }


def _compared(compared: "Compared") -> dict[str, Any]:
    gain = compared.gain
    limits = {name: _number(getattr(gain, name)) for name in ("mean", "low", "high")}
    return {"against": compared.against, **limits, "level": gain.level, "seeds": gain.seeds}


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _read(path: Path) -> dict[str, Any] | None:
    """A trial that was kept, None where it is damaged or of another schema."""
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, dict) and kept.get("schema") == SCHEMA and kept.keys() >= _ASKED:
            return kept
    return None


_ASKED = frozenset({"run", "started", "at", "code", "name", "verdict", "measure", "means", "arms"})


def _started(record_path: Path) -> float | None:
    """When the run of a record started, None where that cannot be read."""
    try:
        entries = read_entries(record_path).entries
    except RecordError:
        return None
    return next((entry.get("started") for entry in entries if entry.get("e") == "meta"), None)
