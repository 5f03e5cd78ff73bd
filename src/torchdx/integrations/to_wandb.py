"""W&B: a run in its offline form, which `wandb sync` sends when its owner wants it sent."""

import shlex
import shutil
from pathlib import Path
from typing import Any

from torchdx.errors import CallError
from torchdx.integrations import findings
from torchdx.integrations.exporting import needed, surroundings, told
from torchdx.integrations.material import Material
from torchdx.integrations.series import by_step

_PROJECT = "torchdx"
_LONGEST_TAG = 64
# Nothing is told of this machine and this folder: what trained may have been elsewhere.
_SETTINGS = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "save_code": False,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


def place(record: Path) -> Path:
    """The folder of the record; W&B makes its folder `wandb` there."""
    return record.parent


def write(material: Material, path: Path, *, force: bool) -> str:
    """A folder `PATH/wandb/offline-run-*`, without any network.

    Raises:
        CallError: this run is there already.
    """
    quiet = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    with surroundings("WANDB_", **quiet), told(path):
        wandb = needed("wandb", "wandb", "wandb")
        _make_room(material, path, force=force)
        path.mkdir(parents=True, exist_ok=True)
        try:
            folder = _export(wandb, material, path)
        except wandb.errors.Error as error:
            msg = f"cannot export to {path}: W&B refuses it: {error}"
            raise CallError(msg) from None
    quoted = shlex.quote(str(folder))
    return f"{folder}. Open it: wandb leet {quoted}, or upload it: wandb sync {quoted}"


def _make_room(material: Material, path: Path, *, force: bool) -> None:
    for folder in path.glob(f"wandb/offline-run-*-{material.identity}"):
        if not force:
            msg = (
                f"there is {folder} already. Name another folder to write to, or put this "
                "in its place: --force."
            )
            raise CallError(msg)
        shutil.rmtree(folder)


def _export(wandb: Any, material: Material, path: Path) -> Path:
    run = wandb.init(
        mode="offline",
        dir=str(path),
        project=_PROJECT,
        id=material.identity,
        name=material.name,
        notes=findings.as_markdown(material.report),
        tags=sorted({code[:_LONGEST_TAG] for code in material.codes}),
        config=material.settings,
        settings=wandb.Settings(**_SETTINGS),
    )
    try:
        for step, rows in by_step(material.rows):
            time = {"_timestamp": material.time_of(step)}
            run.log({row.tag: row.value for row in rows} | time, step=step)
        run.summary["torchdx/findings"] = ", ".join(material.codes) or "none"
        if found := findings.as_table(material.name, material.report):
            table = wandb.Table(findings.COLUMNS, [list(line.values()) for line in found])
            run.log({"torchdx/table": table, "_timestamp": material.ended})
        folder = Path(run.dir).parent
    finally:
        run.finish(exit_code=material.report["run"]["status"] or 0)
        wandb.teardown()
    return folder
