"""W&B, read back from its offline folder with its own inspector."""

import json
import os
import subprocess
import sys

import pytest

from tests.integrations.records import ODD, STARTED
from torchdx.errors import CallError
from torchdx.integrations import to_wandb


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip("wandb", reason="wandb is not installed")


def read(folder):
    """The entries of an offline run, by type."""
    call = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    said = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60).stdout
    found = {}
    for line in said.splitlines():
        entry = json.loads(line)
        found.setdefault(entry["type"], []).append(entry[entry["type"]])
    return found


def offline(path):
    (folder,) = (path / "wandb").glob("offline-run-*")
    return folder


def test_a_run_is_kept_offline_with_values_settings_and_times(material, tmp_path):
    said = to_wandb.write(material, tmp_path, force=False)
    folder = offline(tmp_path)
    assert f"wandb sync {folder}" in said
    entries = read(folder)
    (run,) = entries["run"]
    assert (run["project"], run["display_name"]) == ("torchdx", "odd")
    assert run["config"]["update"]["optimizer.2.betas"] == [0.9, 0.999]
    values = {entry["item"]["_step"]: entry["item"] for entry in entries["history"]}
    assert list(values) == [1, 2, 5, 6, 10]
    assert values[1][f"activation.std/{ODD}"] == 0.25
    assert values[5]["loss/training"] == "NaN"
    assert values[10][f"activation.std/{ODD}"] == "-Infinity"
    assert values[10]["accuracy/validation"] == 0.75
    assert values[1]["_timestamp"] == STARTED + 10
    assert "torchdx/table._type" not in values[10]
    assert entries["exit"][0]["exit_code"] == 0


def test_findings_are_tags_notes_and_a_table(sick, tmp_path):
    to_wandb.write(sick, tmp_path, force=False)
    folder = offline(tmp_path)
    (run,) = read(folder)["run"]
    assert run["tags"] == ["L01 softmax-before-cross-entropy"]
    assert run["notes"].startswith("# torchdx: 1 finding\n")
    (table,) = folder.glob("files/media/table/torchdx/*.json")
    content = json.loads(table.read_text(encoding="utf-8"))
    assert content["data"][0][content["columns"].index("code")] == "L01"


def test_the_same_run_is_replaced_only_by_force_and_others_stay(empty, material, tmp_path):
    to_wandb.write(empty, tmp_path, force=False)
    first = offline(tmp_path)
    with pytest.raises(CallError, match=f"there is {first} already"):
        to_wandb.write(empty, tmp_path, force=False)
    assert offline(tmp_path) == first


def test_the_user_s_environment_is_restored_and_never_sends(empty, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    before = dict(os.environ)
    to_wandb.write(empty, tmp_path, force=False)
    assert dict(os.environ) == before
    assert "run_group" not in read(offline(tmp_path))["run"][0]
