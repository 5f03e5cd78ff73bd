"""TensorBoard: scalars grouped by signal, and the findings in its text tab; without torch."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchdx.errors import CallError
from torchdx.integrations import findings
from torchdx.integrations.exporting import needed, told
from torchdx.integrations.material import Material
from torchdx.integrations.series import by_step

_PACKAGE = "tensorboard"
_OURS = ".torchdx"  # ends the names of event files that were written here
_WAITING = 1_000  # events that wait for the thread that writes them


def place(record: Path) -> Path:
    """A folder a run, all in one that TensorBoard is pointed at."""
    return record.parent / "tensorboard" / record.stem


def write(material: Material, path: Path, *, force: bool) -> str:
    """One event file in the folder `path`, the only one there: TensorBoard draws a folder's as one.

    Raises:
        CallError: the folder holds event files already.
    """
    writer_of = needed("tensorboard", f"{_PACKAGE}.summary.writer.event_file_writer", _PACKAGE)
    with told(path):
        _clear(path, force=force)
        writer = writer_of.EventFileWriter(str(path), _WAITING, filename_suffix=_OURS)
        try:
            for event in _events(material):
                writer.add_event(event)
        finally:
            writer.close()
    seen = path.parent if path.parent.name == "tensorboard" else path
    return f"{path}. Open it: tensorboard --logdir {shlex.quote(str(seen))}"


def _clear(path: Path, *, force: bool) -> None:
    if path.exists() and not path.is_dir():
        msg = f"cannot write to {path}: TensorBoard reads folders, and this is a file."
        raise CallError(msg)
    there = list(path.glob("events.out.tfevents.*"))
    foreign = [file.name for file in there if file.suffix != _OURS]
    if foreign:
        msg = (
            f"{path} holds {foreign[0]}, which torchdx did not write; TensorBoard would draw both "
            "as one run. Name another folder."
        )
        raise CallError(msg)
    if there and not force:
        msg = f"there is an export in {path} already. Name another folder, or replace it: --force."
        raise CallError(msg)
    for file in there:
        file.unlink()


def _events(material: Material) -> Iterator[Any]:
    event_of = needed("tensorboard", f"{_PACKAGE}.compat.proto.event_pb2", _PACKAGE).Event
    summary = needed("tensorboard", f"{_PACKAGE}.compat.proto.summary_pb2", _PACKAGE).Summary
    page = _text(findings.as_markdown(material.report))
    settings = _text("".join(f"    {k}  {v}\n" for k, v in material.settings.items()))
    texts = summary(value=[_named(page, "torchdx/findings"), _named(settings, "torchdx/settings")])
    yield event_of(wall_time=material.began, step=0, summary=texts)
    for step, rows in by_step(material.rows):
        values = [summary.Value(tag=row.tag, simple_value=row.value) for row in rows]
        time = material.time_of(step)
        yield event_of(wall_time=time, step=step, summary=summary(value=values))


def _text(markdown: str) -> Any:
    """A value for the text tab, as `tensorboard.plugins.text` reads it."""
    summary = needed("tensorboard", f"{_PACKAGE}.compat.proto.summary_pb2", _PACKAGE).Summary
    text = needed("tensorboard", f"{_PACKAGE}.plugins.text.metadata", _PACKAGE)
    tensors = needed("tensorboard", f"{_PACKAGE}.util.tensor_util", _PACKAGE)
    metadata = text.create_summary_metadata(display_name="", description="")
    return summary.Value(tensor=tensors.make_tensor_proto([markdown]), metadata=metadata)


def _named(value: Any, tag: str) -> Any:
    value.tag = tag
    return value
