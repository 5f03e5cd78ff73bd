"""TensorBoard, read back with its own reader."""

import math
import subprocess
import sys

import pytest

from tests.integrations.records import LASTED, ODD, STARTED
from torchdx.errors import CallError
from torchdx.integrations import to_tensorboard

accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
)


def read(folder):
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return events.Reload()


def text(events, tag):
    (event,) = events.Tensors(tag)
    return event.tensor_proto.string_val[0].decode()


def test_every_value_is_a_scalar_under_its_tag(material, tmp_path):
    to_tensorboard.write(material, tmp_path / "logs", force=False)
    events = read(tmp_path / "logs")
    assert set(events.Tags()["scalars"]) == {row.tag for row in material.rows}
    assert [(e.step, e.value) for e in events.Scalars("activation.std/features.0")] == [
        (1, 0.5),
        (10, 0.75),
    ]
    assert [e.step for e in events.Scalars("optimizer.lr/1")] == [1, 5, 6, 10]


def test_values_that_are_not_finite_and_odd_names_are_kept(material, tmp_path):
    to_tensorboard.write(material, tmp_path / "logs", force=False)
    events = read(tmp_path / "logs")
    losses = [e.value for e in events.Scalars("loss/training")]
    assert math.isnan(losses[2])
    assert losses[3] == math.inf
    assert events.Scalars(f"activation.std/{ODD}")[1].value == -math.inf


def test_wall_times_are_those_of_the_run(material, tmp_path):
    to_tensorboard.write(material, tmp_path / "logs", force=False)
    times = [e.wall_time for e in read(tmp_path / "logs").Scalars("loss/training")]
    assert times == [STARTED + LASTED * step / 10 for step in (1, 2, 5, 10)]


def test_findings_and_settings_are_texts(sick, tmp_path):
    to_tensorboard.write(sick, tmp_path / "logs", force=False)
    events = read(tmp_path / "logs")
    assert "L01 softmax-before-cross-entropy (fault" in text(events, "torchdx/findings")
    assert "    optimizer.1  SGD\n" in text(events, "torchdx/settings")
    content = events.SummaryMetadata("torchdx/findings").plugin_data
    assert content.plugin_name == "text"


def test_an_empty_run_says_that_nothing_was_found(empty, tmp_path):
    to_tensorboard.write(empty, tmp_path / "logs", force=False)
    events = read(tmp_path / "logs")
    assert events.Tags()["scalars"] == []
    assert text(events, "torchdx/findings").startswith("# torchdx: no findings\n")


def test_an_export_is_replaced_only_by_force(material, tmp_path):
    to_tensorboard.write(material, tmp_path, force=False)
    with pytest.raises(CallError, match=r"there is an export in .* already"):
        to_tensorboard.write(material, tmp_path, force=False)
    to_tensorboard.write(material, tmp_path, force=True)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_events_of_others_are_never_mixed_with_ours_nor_replaced(material, tmp_path):
    theirs = tmp_path / "events.out.tfevents.1.host"
    theirs.write_bytes(b"theirs")
    with pytest.raises(CallError, match=r"tfevents.1.host, which torchdx did not write"):
        to_tensorboard.write(material, tmp_path, force=True)
    assert [path.name for path in tmp_path.glob("*tfevents*")] == [theirs.name]


def test_it_is_written_without_torch(material, tmp_path):
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from torchdx.cli.opening import open_run\n"
        "from torchdx.integrations import to_tensorboard\n"
        "from torchdx.integrations.material import Material\n"
        "material = Material(*open_run(sys.argv[1]))\n"
        "to_tensorboard.write(material, Path(sys.argv[2]), force=False)\n"
        "assert 'torch' not in sys.modules\n"
    )
    call = [sys.executable, "-c", program, str(material.path), str(tmp_path / "logs")]
    subprocess.run(call, check=True, timeout=60)
