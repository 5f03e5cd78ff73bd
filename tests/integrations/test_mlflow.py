"""MLflow, read back with its own client."""

import json
import logging
import math
import os

import pytest

from tests.integrations.records import ENTRIES, LASTED, ODD, STARTED, material_of, written
from torchdx.errors import CallError
from torchdx.integrations import to_mlflow

pytestmark = [
    pytest.mark.slow,  # a new store takes MLflow some seconds
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),  # MLflow's own
]


@pytest.fixture
def tracking(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    pytest.importorskip("alembic", reason="alembic is not installed")
    pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed")
    return pytest.importorskip("mlflow.tracking", reason="mlflow is not installed")


def runs(tracking, folder):
    client = tracking.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("torchdx")
    return client, client.search_runs([experiment.experiment_id])


def history(client, run, key):
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, key)]


def test_a_run_holds_metrics_settings_and_status(tracking, material, tmp_path):
    folder = tmp_path / "a folder"
    to_mlflow.write(material, folder, force=False)
    client, (run,) = runs(tracking, folder)
    assert (run.info.run_name, run.info.status) == ("odd", "FINISHED")
    assert run.info.start_time == STARTED * 1000
    assert run.info.end_time == (STARTED + LASTED) * 1000
    assert run.data.params["optimizer.1"] == "SGD"
    assert run.data.params["optimizer.2.betas"] == "[0.9, 0.999]"
    assert run.data.params["argv"] == "train.py --lr 0.1"
    assert history(client, run, "activation.std/features.0") == [
        (1, 0.5, (STARTED + LASTED / 10) * 1000),
        (10, 0.75, (STARTED + LASTED) * 1000),
    ]
    losses = {step: value for step, value, _ in history(client, run, "loss/training")}
    assert math.isnan(losses[5])
    assert losses[10] > 1e300  # as near to infinity as the store gets
    odd = "activation.std/" + ODD.replace("<", "_").replace(">", "_")
    assert [step for step, _, _ in history(client, run, odd)] == [1, 10]


def test_findings_are_tags_the_description_and_files(tracking, sick, tmp_path):
    to_mlflow.write(sick, tmp_path / "store", force=False)
    client, (run,) = runs(tracking, tmp_path / "store")
    assert run.data.tags["torchdx.findings"] == "L01 softmax-before-cross-entropy"
    assert run.data.tags["torchdx.sick"] == "true"
    assert run.data.tags["mlflow.note.content"].startswith("# torchdx: 1 finding\n")
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"findings.md", "findings.json"}
    local = client.download_artifacts(run.info.run_id, "findings.json", str(tmp_path))
    with open(local, encoding="utf-8") as file:  # noqa: PTH123
        assert json.load(file)["findings"][0]["code"] == "L01"


def test_runs_join_a_store_and_the_same_one_is_replaced_only_by_force(
    tracking, material, empty, tmp_path
):
    folder = tmp_path / "store"
    to_mlflow.write(material, folder, force=False)
    to_mlflow.write(empty, folder, force=False)
    with pytest.raises(CallError, match=r"the store holds odd already, as run"):
        to_mlflow.write(material, folder, force=False)
    assert sorted(run.info.run_name for run in runs(tracking, folder)[1]) == ["empty", "odd"]
    to_mlflow.write(material, folder, force=True)
    assert sorted(run.info.run_name for run in runs(tracking, folder)[1]) == ["empty", "odd"]


def test_a_run_that_was_killed_or_failed_is_told_as_such(tracking, torn, tmp_path):
    to_mlflow.write(torn, tmp_path / "store", force=False)
    ended = [{"e": "meta", "pid": 9}, {"e": "end", "status": 1}]
    failed = written(tmp_path / "failed.dx", *ended, *ENTRIES, end=False)
    to_mlflow.write(material_of(failed), tmp_path / "store", force=False)
    statuses = {run.info.run_name: run.info.status for run in runs(tracking, tmp_path / "store")[1]}
    assert statuses == {"torn": "KILLED", "failed": "FAILED"}


def test_a_file_that_is_no_store_is_refused_in_one_line(tracking, material, tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database at all, but a text that is long enough")
    with pytest.raises(CallError, match=r"cannot export to .*mlflow.db: MLflow refuses it: "):
        to_mlflow.write(material, tmp_path, force=False)


@pytest.mark.parametrize("name", ["what?", "50%"])
def test_a_path_that_mlflow_would_misread_is_refused(tracking, material, tmp_path, name):
    with pytest.raises(CallError, match="MLflow takes"):
        to_mlflow.write(material, tmp_path / name, force=False)
    assert not list(tmp_path.glob("what*")) + list(tmp_path.glob("50*"))


def test_the_user_s_own_mlflow_is_left_alone(tracking, empty, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = dict(os.environ)
    to_mlflow.write(empty, tmp_path / "store", force=False)
    assert dict(os.environ) == before
    assert logging.root.manager.disable == logging.NOTSET
