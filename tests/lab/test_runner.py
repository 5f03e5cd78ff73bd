import builtins
import errno
import json
import os
import subprocess
import sys
import time

import pytest

from tests.lab.made_up import study_file
from torchdx.errors import CallError, RecordError
from torchdx.lab import store
from torchdx.lab.rows import Rows
from torchdx.lab.runner import run
from torchdx.lab.store import load
from torchdx.lab.study import _from_file, find_study
from torchdx.lab.version import files_behind, version_of
from torchdx.lab.worker import run_seed


@pytest.fixture(autouse=True)
def _read_anew():
    _from_file.cache_clear()
    yield
    _from_file.cache_clear()
    sys.modules.pop("toy_study", None)


def kept(path, folder):
    _from_file.cache_clear()
    return load(folder, find_study(str(path)), "quick")


@pytest.mark.slow
def test_seeds_run_in_processes_of_their_own_and_are_not_run_again(tmp_path):
    path, told = study_file(tmp_path), []
    assert run([str(path)], seeds=2, jobs=2, folder=tmp_path, told=told.append) == 2
    found = kept(path, tmp_path)
    assert found.rows.distinct("seed") == [0, 1]
    assert len(set(found.rows["pid"])) == 2
    assert os.getpid() not in found.rows["pid"]
    assert [(p.done, p.of, p.study, p.error) for p in told] == [
        (1, 2, "toy", ""),
        (2, 2, "toy", ""),
    ]
    assert told[-1].left_s == 0
    assert run([str(path)], seeds=2, folder=tmp_path) == 0
    assert run([str(path)], seeds=3, jobs=1, folder=tmp_path) == 1
    assert len(kept(path, tmp_path).done) == 3


@pytest.mark.slow
def test_a_seed_that_fails_or_dies_does_not_stop_the_others(tmp_path):
    trouble = (
        "if seed == 0: raise ValueError('too steep')\n    if seed == 1: os.kill(os.getpid(), 9)"
    )
    path = study_file(tmp_path, trouble)
    assert run([str(path)], seeds=3, jobs=1, folder=tmp_path) == 3
    found = kept(path, tmp_path)
    assert [seed.seed for seed in found.done] == [2]
    first, second = found.failed
    assert first.error == "ValueError: too steep (toy_study.py:9)"
    assert "Traceback" in first.trace
    assert second.error == "its process was killed by signal 9: out of memory, perhaps"
    assert run([str(path)], seeds=3, jobs=1, folder=tmp_path) == 2, "what failed is tried again"


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_ended(tmp_path):
    path = study_file(
        tmp_path, "import time; time.sleep(60 * (seed == 1 and not os.path.exists('go')))"
    )
    call = [sys.executable, "-m", "torchdx", "lab", "run", str(path), "--seeds", "2", "--jobs", "1"]
    process = subprocess.Popen(
        call, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    first = tmp_path / ".torchdx" / "lab" / "toy" / "quick" / "seed-0.json"
    while not first.exists():
        time.sleep(0.1)
    os.killpg(process.pid, 9)
    process.wait()
    (tmp_path / "go").write_text("")
    ended = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "seed 1 done" in ended.stderr
    assert "seed 0" not in ended.stderr
    assert "1 of 1" in ended.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_seeds_run_on_a_dask_cluster(tmp_path):
    import joblib
    from distributed import Client

    path = study_file(tmp_path)
    with (
        Client(n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path),
        joblib.parallel_config(backend="dask"),
    ):
        assert run([str(path)], seeds=2, folder=tmp_path) == 2
    assert len(kept(path, tmp_path).done) == 2


def done_here(path, folder, seeds=range(2)):
    """Seeds run in this process, which is faster."""
    _from_file.cache_clear()
    study = find_study(str(path))
    here = store.place(folder, study, "quick")
    for seed in seeds:
        store.keep(here, *run_seed(study, "quick", seed))
    return here


def test_rows_of_an_older_version_of_a_study_are_never_mixed_in(tmp_path):
    path = study_file(tmp_path)
    done_here(path, tmp_path)
    study_file(tmp_path, "draw.random()")
    found = kept(path, tmp_path)
    assert (len(found.done), found.stale, len(found.rows)) == (0, 2, 0)
    done_here(path, tmp_path, [0])
    found = kept(path, tmp_path)
    assert (len(found.done), found.stale, found.rows.distinct("seed")) == (1, 1, [0])


def test_a_seed_is_done_in_the_version_in_which_it_was_run_and_in_no_other(tmp_path):
    path = study_file(tmp_path)
    here, version = done_here(path, tmp_path, [0]), version_of(find_study(str(path)))
    assert store.is_done(here, 0, version)
    assert not store.is_done(here, 0, "another")
    assert not store.is_done(here, 1, version)


def test_what_a_study_says_of_itself_and_how_it_draws_makes_no_other_version(tmp_path):
    path = study_file(tmp_path)
    first = version_of(find_study(str(path)))
    text = path.read_text()
    path.write_text(
        text.replace('"""A study."""', '"""Other words."""  # said').replace("Loss by", "By")
    )
    assert version_of(find_study(str(path))) == first
    path.write_text(text.replace("title=", 'amended="Nothing.", title='))
    assert version_of(find_study(str(path))) == first
    path.write_text(text.replace("delta=0.5", "delta=0.4"))
    assert version_of(find_study(str(path))) != first


def test_what_a_treatment_of_a_study_takes_itself_makes_another_version():
    """`lsuv` takes `site`, which the study does not name."""
    behind = files_behind(find_study("init-moments").file)
    assert {"lsuv.py", "site.py", "watching.py"} <= {path.name for path in behind}
    assert "statistics.py" not in {path.name for path in behind}


def test_rows_are_the_same_whether_kept_as_parquet_or_as_csv(tmp_path, monkeypatch):
    path = study_file(tmp_path)
    here = done_here(path, tmp_path, [0])
    assert (here / "seed-0.parquet").exists()
    as_parquet = list(kept(path, tmp_path).rows)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    done_here(path, tmp_path, [0])
    assert [p.name for p in sorted(here.iterdir())] == ["seed-0.csv", "seed-0.json"]
    as_csv = list(kept(path, tmp_path).rows)
    assert as_csv == as_parquet
    assert {type(v) for v in as_csv[0].values()} == {int, float, str}


def test_what_was_torn_is_said_with_the_way_out(tmp_path):
    path = study_file(tmp_path)
    here = done_here(path, tmp_path, [0])
    (here / "seed-0.parquet").write_bytes(b"torn")
    with pytest.raises(
        RecordError, match=r"Delete seed-0.json beside them and run the study again"
    ):
        kept(path, tmp_path)
    (here / "seed-0.json").write_text("{")
    assert kept(path, tmp_path) is None, "a seed whose description is torn is run again"


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_runs(tmp_path):
    path = study_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CallError, match=r"cannot keep rows in .*toy/quick: .*--folder"):
        run([str(path)], folder=tmp_path / "file")


@pytest.mark.slow
def test_a_full_disk_is_one_message(tmp_path):
    trouble = (
        "import torchdx.lab.worker as w\n"
        "    def full(*_): raise OSError(28, 'No space left on device')\n"
        "    import sys; sys.modules['__main__'].keep = full"
    )
    path = study_file(tmp_path, trouble)
    with pytest.raises(CallError, match=r"No space left on device\. Make room there"):
        run([str(path)], seeds=1, jobs=1, folder=tmp_path)


def test_writing_fails_as_a_disk_does_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    path = study_file(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        done_here(path, tmp_path, [0])
    assert not list((tmp_path / "toy" / "quick").iterdir())


def test_a_study_that_yields_nothing_has_failed(tmp_path):
    here = done_here(study_file(tmp_path, "return"), tmp_path, [0])
    assert json.loads((here / "seed-0.json").read_text())["error"] == "it yielded no rows"


def test_no_rows_at_all_join_to_none():
    assert len(Rows.joined([])) == 0


def test_what_a_study_costs_holds_the_processes_that_it_began(tmp_path):
    path = study_file(tmp_path)
    spin = "import time; e = time.process_time() + 0.3; exec('while time.process_time() < e: pass')"
    began = f"subprocess.run([sys.executable, '-c', {spin!r}], check=True)"
    text = path.read_text()
    at = text.index("    for ", text.index("def run("))
    path.write_text(f"import subprocess, sys\n{text[:at]}    {began}\n{text[at:]}")
    _from_file.cache_clear()
    told, _ = run_seed(find_study(str(path)), "quick", 0)
    assert told.error == ""
    assert told.cpu_s >= 0.3
