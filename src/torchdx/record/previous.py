"""What the run before of the same program began with."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchdx.record.index import runs
from torchdx.record.reader import read

MAX_BYTES = 5_000_000  # a larger record is not worth the wait
_STAMP = re.compile(r"-\d{8}-\d{6}-\d{3}-\d+$")  # as `new_path` puts it behind the name


def previous(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the last run of the same script, unchanged since, with the same arguments.

    `run` its name, `first_loss` of its first optimizer. Empty where there is none. Never fails.
    """
    with contextlib.suppress(Exception):
        name, stamped = _STAMP.subn("", path.stem)
        script = Path(next(iter(facts.get("argv", ())), ""))
        if stamped and not facts.get("module") and script.is_file():
            earlier = [p for p in runs(path.parent) if p != path and _STAMP.sub("", p.stem) == name]
            if earlier and earlier[-1].stat().st_size < MAX_BYTES:
                return _facts(earlier[-1], list(facts["argv"]), script.stat().st_mtime)
    return {}


def _facts(path: Path, arguments: list[str], changed: float) -> dict[str, Any]:
    record = read(path)
    if record.meta.get("argv") != arguments or record.meta.get("started", 0.0) < changed:
        return {}
    losses = [o.first_loss for o in record.optimizers.values() if o.first_loss is not None]
    return {"run": path.stem, "first_loss": losses[0]} if losses else {}
