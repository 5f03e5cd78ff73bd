"""MLflow: a run in a local SQLite store, with its settings, metrics and findings."""

import itertools
import logging
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchdx.errors import CallError
from torchdx.integrations import findings
from torchdx.integrations.exporting import needed, surroundings, told
from torchdx.integrations.material import Material

_PACKAGES = "mlflow-skinny sqlalchemy alembic"
_EXPERIMENT = "torchdx"
_IDENTITY = "torchdx.identity"
# What MLflow's stores accept.
_METRICS_AT_ONCE, _PARAMS_AT_ONCE = 1_000, 100
_LONGEST_NAME, _LONGEST_PARAM, _LONGEST_TAG = 250, 6_000, 8_000


def place(record: Path) -> Path:
    """One store for all records of a folder."""
    return record.parent / "mlflow"


def write(material: Material, path: Path, *, force: bool) -> str:
    """A new run in `PATH/mlflow.db`, files in `PATH/mlruns`: where `mlflow ui` in PATH looks.

    Other runs in the store stay as they are.

    Raises:
        CallError: the store holds this run already, or MLflow refuses it.
    """
    store = path.absolute() / "mlflow.db"
    if "?" in str(store) or "%" in str(store):
        msg = f"cannot export to {path}: MLflow takes `?` and `%` in its path for its own signs."
        raise CallError(msg)
    # MLflow tells its makers of its use, unless it is told not to when it is imported.
    with surroundings("MLFLOW_", MLFLOW_DISABLE_TELEMETRY="true"), _quiet(), told(path):
        needed("mlflow", "alembic", _PACKAGES)
        broken = needed("mlflow", "sqlalchemy.exc", _PACKAGES).SQLAlchemyError
        client_of = needed("mlflow", "mlflow.tracking", _PACKAGES).MlflowClient
        refusal = needed("mlflow", "mlflow.exceptions", _PACKAGES).MlflowException
        path.mkdir(parents=True, exist_ok=True)
        store.open("ab").close()  # else MLflow tries for minutes
        try:
            _export(client_of(f"sqlite:///{store}"), material, path.absolute(), force=force)
        except (refusal, broken) as error:
            reason = str(error).strip().splitlines()[0]
            msg = f"cannot export to {store}: MLflow refuses it: {reason}"
            raise CallError(msg) from None
    return f"{store}. Open it: mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{store}')}"


def _export(client: Any, material: Material, folder: Path, *, force: bool) -> None:
    experiment = _experiment(client, folder)
    _make_room(client, experiment, material, force=force)
    start = int(material.began * 1000)
    run = client.create_run(experiment, start, _tags(material), material.name).info.run_id
    entities = needed("mlflow", "mlflow.entities", _PACKAGES)
    names = _Names()
    params = [
        entities.Param(names.of(key), str(value)[:_LONGEST_PARAM])
        for key, value in material.settings.items()
    ]
    for batch in _batches(params, _PARAMS_AT_ONCE):
        client.log_batch(run, params=batch)
    metrics = (
        entities.Metric(
            names.of(row.tag), row.value, int(material.time_of(row.step) * 1000), row.step
        )
        for row in dict.fromkeys(material.rows)
    )
    for batch in _batches(metrics, _METRICS_AT_ONCE):
        client.log_batch(run, metrics=batch)
    client.log_text(run, findings.as_markdown(material.report), "findings.md")
    client.log_dict(run, material.report, "findings.json")
    client.set_terminated(run, _status(material), int(material.ended * 1000))


def _experiment(client: Any, folder: Path) -> str:
    known = client.get_experiment_by_name(_EXPERIMENT)
    if known is None:
        return str(client.create_experiment(_EXPERIMENT, (folder / "mlruns").as_uri()))
    return str(known.experiment_id)


def _make_room(client: Any, experiment: str, material: Material, *, force: bool) -> None:
    wanted = f"tags.`{_IDENTITY}` = '{material.identity}'"
    for run in client.search_runs([experiment], wanted):
        if not force:
            msg = (
                f"the store holds {material.name} already, as run {run.info.run_id}. "
                "Name another folder, or put this in its place: --force."
            )
            raise CallError(msg)
        client.delete_run(run.info.run_id)


def _tags(material: Material) -> dict[str, str]:
    report = material.report
    tags = {
        _IDENTITY: material.identity,
        "torchdx.record": str(material.path.resolve()),
        "torchdx.findings": ", ".join(material.codes) or "none",
        "torchdx.sick": str(material.diagnosis.sick).lower(),
        "mlflow.note.content": findings.as_markdown(report),
        "mlflow.source.name": str(next(iter(report["run"]["argv"] or ()), material.name)),
        "mlflow.source.type": "LOCAL",
    }
    return {key: value[:_LONGEST_TAG] for key, value in tags.items()}


def _status(material: Material) -> str:
    status = material.report["run"]["status"]
    if status is None or status < 0:
        return "KILLED"
    return "FAILED" if status else "FINISHED"


class _Names:
    """Names as MLflow allows them, different ones kept apart."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """The name with `_` for each character that may not be in it, and a number if taken."""
        if name not in self._given:
            plain = re.sub(r"[^/\w.\- :]", "_", name)
            parts = (part if part.strip(".") else "_" for part in plain.split("/"))
            plain = "/".join(parts)[: _LONGEST_NAME - 10]
            tries = itertools.chain([plain], (f"{plain} {n}" for n in itertools.count(2)))
            self._given[name] = next(t for t in tries if t not in self._taken)
            self._taken.add(self._given[name])
        return self._given[name]


def _batches(things: Any, size: int) -> Iterator[list[Any]]:
    rest = iter(things)
    while batch := list(itertools.islice(rest, size)):
        yield batch


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes that MLflow and alembic write while they make a store."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
