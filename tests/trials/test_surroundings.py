"""What an arm writes does not meet the user's files, and is found again by the arm itself."""

import os
import textwrap
from pathlib import Path

import pytest

from torchdx.trials import surroundings
from torchdx.trials.surroundings import show


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files below, what they hold and when they were changed."""
    files = (p for p in sorted(folder.rglob("*")) if not p.is_dir())
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in files} | {
        str(p): (b"", 0) for p in folder.rglob("*") if p.is_dir()
    }


@pytest.fixture
def untouched(home):
    """Files in both of the user's folders, which must be as they were when the test is over."""
    for folder in (home.mine, home.other):
        (folder / "runs" / "inner").mkdir(parents=True)
        for name in ("notes.txt", "runs/last.txt", "runs/inner/deep.txt"):
            (folder / name).write_text("old")
            os.utime(folder / name, (1, 1))
    before = state(home.mine), state(home.other)
    yield home
    assert (state(home.mine), state(home.other)) == before


WAYS = {
    "open": "open(P, 'w').write('new')",
    "open to add": "open(P, 'a').write('new')",
    "open to change": "f = open(P, 'r+'); f.write('new'); f.close()",
    "binary": "open(P, 'wb').write(b'new')",
    "io.open": "import io; io.open(P, 'w').write('new')",
    "os.open": "import os; f = os.open(P, os.O_WRONLY | os.O_TRUNC); os.write(f, b'new')",
    "write_text": "Path(P).write_text('new')",
    "Path.open": "Path(P).open('w').write('new')",
    "os.replace": "open('part', 'w').write('new'); import os; os.replace('part', P)",
    "Path.rename": "Path('part').write_text('new'); Path('part').rename(P)",
    "shutil.move": "open('part', 'w').write('new'); import shutil; shutil.move('part', P)",
    "shutil.copy2": "open('part', 'w').write('new'); import shutil; shutil.copy2('part', P)",
    "np.save": "import numpy as np; np.save(open(P, 'wb'), np.arange(3))",
    "np.savetxt": "import numpy as np; np.savetxt(P, np.arange(3), header='new')",
    "tofile": "import numpy as np; np.frombuffer(b'new', 'u1').tofile(P)",
    "pickle": "import pickle; pickle.dump('new', open(P, 'wb'))",
    "torch.save": "import torch; torch.save({'new': 1}, P); assert torch.load(P) == {'new': 1}",
    "gzip": "import gzip; gzip.open(P, 'wb').write(b'new')",
    "bz2": "import bz2; bz2.open(P, 'wb').write(b'new')",
    "zip": "import zipfile; zipfile.ZipFile(P, 'w').writestr('new', 'new')",
    "tar": "import tarfile; tarfile.open(P, 'w').close()",
    "logging": "import logging; logging.FileHandler(P, 'w').emit(logging.makeLogRecord({}))",
    "csv": "import csv; csv.writer(open(P, 'w', newline='')).writerow(['new'])",
    "safetensors": "import torch; from safetensors.torch import save_file, load_file;"
    "save_file({'new': torch.ones(2)}, P); assert load_file(P)['new'].sum() == 2",
    "memmap": "import numpy as np; np.memmap(P, 'u1', 'w+', shape=(3,))[:] = 1",
    "truncate": "import os; os.truncate(P, 1)",
    "linked": "import os; os.remove(P); open('x', 'w').write('new'); os.link('x', P)",
}


@pytest.mark.parametrize("folder", ["OTHER", "MINE + '/runs/inner'", "'.'"])
def test_what_is_written_is_read_again_and_the_original_stays(home, folder):
    for place in (home.mine, home.mine / "runs" / "inner", home.other):
        place.mkdir(parents=True, exist_ok=True)
        for i in range(len(WAYS)):
            (place / f"{i}.txt").write_text("old")
            os.utime(place / f"{i}.txt", (1, 1))
    before = state(home.mine), state(home.other)
    home.run(f"""
import gc, os
from pathlib import Path
for number, (name, way) in enumerate({list(WAYS.items())!r}):
    P = os.path.join({folder}, f"{{number}}.txt")
    seen = len(WRITTEN)
    exec(way)
    gc.collect()
    assert Path(P).exists() and os.path.isfile(P), name
    assert open(P, "rb").read() != b"old", name
    assert os.path.getsize(P) == len(Path(P).read_bytes()), name
    assert (len(WRITTEN) > seen) == os.path.isabs(P), name
""")
    assert (state(home.mine), state(home.other)) == before


def test_new_folders_and_files_by_absolute_path_are_there_for_the_program_alone(untouched):
    said = untouched.run("""
import glob, os, shutil
from pathlib import Path
out = Path(OTHER) / "runs" / "mine"
assert not out.exists()
out.mkdir(parents=True, exist_ok=True)
os.makedirs(out / "a" / "b")
os.makedirs(out / "a" / "b", exist_ok=True)
assert out.is_dir() and (out / "a" / "b").is_dir()
for i in range(3):
    (out / f"step{i}.txt").write_text(str(i))
(out / "touched").touch()
print(sorted(os.listdir(out)))
print(sorted(os.listdir(OTHER + "/runs")))
print([os.path.basename(p) for p in sorted(glob.glob(str(out / "step*.txt")))])
print(sorted(p.name for p in out.glob("step*")), sorted(p.name for p in out.iterdir()))
print([(sorted(d), sorted(f)) for _, d, f in os.walk(OTHER + "/runs")][0])
os.remove(out / "step0.txt")
(out / "step1.txt").rename(out / "best.txt")
print(sorted(os.listdir(out)), (out / "best.txt").read_text())
shutil.rmtree(out)
assert not out.exists()
print(sorted(os.listdir(OTHER + "/runs")))
""").splitlines()
    files = ["a", "step0.txt", "step1.txt", "step2.txt", "touched"]
    assert said[0] == str(files)
    assert said[1] == "['inner', 'last.txt', 'mine']"
    assert said[2] == "['step0.txt', 'step1.txt', 'step2.txt']"
    assert said[3] == "['step0.txt', 'step1.txt', 'step2.txt'] " + str(files)
    assert said[4] == "(['inner', 'mine'], ['last.txt'])"
    assert said[5] == "['a', 'best.txt', 'step2.txt', 'touched'] 1"
    assert said[6] == "['inner', 'last.txt']"


@pytest.mark.parametrize("removing", ["shutil.rmtree(OTHER + '/runs')", "emptied()"])
def test_what_was_removed_is_gone_for_the_program_alone(untouched, removing):
    said = untouched.run(f"""
import os, shutil
from pathlib import Path

def emptied():
    for path in sorted(Path(OTHER, "runs").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    os.rmdir(OTHER + "/runs")

{removing}
assert not os.path.exists(OTHER + "/runs")
assert not Path(OTHER, "runs", "last.txt").exists()
assert os.listdir(OTHER) == ["notes.txt"], os.listdir(OTHER)
for read in (lambda: open(OTHER + "/runs/last.txt"), lambda: os.listdir(OTHER + "/runs"),
             lambda: os.remove(OTHER + "/runs/last.txt")):
    try:
        read()
    except FileNotFoundError:
        continue
    raise AssertionError(read)
os.makedirs(OTHER + "/runs")
open(OTHER + "/runs/last.txt", "a").write("new")
print(open(OTHER + "/runs/last.txt").read(), sorted(os.listdir(OTHER + "/runs")))
print(any("removal" in path for path in WRITTEN))
""")
    assert said == "new ['last.txt']\nTrue\n"


def test_files_that_are_moved_away_are_copied(untouched):
    untouched.run("""
import os, shutil
os.rename(OTHER + "/notes.txt", "taken.txt")
assert open("taken.txt").read() == "old" and not os.path.exists(OTHER + "/notes.txt")
shutil.move(OTHER + "/runs", "taken")
assert open("taken/inner/deep.txt").read() == "old" and not os.path.exists(OTHER + "/runs")
""")


def test_times_and_rights_of_the_users_files_stay(untouched):
    untouched.run("""
import os
from pathlib import Path
Path(OTHER, "notes.txt").touch()
os.chmod(MINE + "/notes.txt", 0o600)
try:
    os.utime(OTHER + "/not there")
except FileNotFoundError:
    pass
else:
    raise AssertionError
""")
    assert (untouched.mine / "notes.txt").stat().st_mode & 0o777 != 0o600


def test_large_files_and_folders_are_links_that_writing_never_follows(home):
    for folder in ("few", "many"):
        (home.mine / folder).mkdir()
    (home.mine / "few" / "large.bin").write_bytes(b"0" * (surroundings.COPIED + 1))
    for i in range(surroundings.MAX_FILES + 1):
        (home.mine / "many" / str(i)).touch()
    before = state(home.mine)
    home.run("""
import os, shutil
assert os.path.islink("few/large.bin") and os.path.islink("many")
with open("few/large.bin", "r+b") as file:
    file.write(b"1")
assert os.path.getsize("few/large.bin") > 1 << 20 and open("few/large.bin", "rb").read(1) == b"1"
open("many/0", "w").write("new")
assert open("many/0").read() == "new"
os.makedirs("many/processed", exist_ok=True)
open("many/processed/cache", "w").write("new")
assert "processed" in os.listdir("many") and len(os.listdir("many")) == 2002
os.remove("many/1")
assert not os.path.exists("many/1")
shutil.rmtree("many")
assert not os.path.exists("many")
""")
    assert {path for path, was in state(home.mine).items() if before.get(path) != was} == set()
    assert len(state(home.mine)) == len(before)


def test_no_more_is_copied_than_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "COPIES", 1000)
    mine, scratch = tmp_path / "mine", tmp_path / "scratch"
    mine.mkdir()
    for i in range(5):
        (mine / f"{i}").write_bytes(b"0" * 300)
    show(mine, scratch)
    assert [(scratch / str(i)).is_symlink() for i in range(5)] == [False] * 3 + [True] * 2


def test_what_is_odd_in_a_folder_is_shown_as_it_is(tmp_path):
    mine, scratch = tmp_path / "mine", tmp_path / "scratch"
    (mine / ".git").mkdir(parents=True)
    (mine / "round").symlink_to(mine)
    (mine / "nowhere").symlink_to(tmp_path / "not there")
    os.mkfifo(mine / "pipe")
    show(mine, scratch)
    assert sorted(path.name for path in scratch.iterdir()) == ["nowhere", "pipe", "round"]
    assert all(path.is_symlink() for path in scratch.iterdir())


def test_temporary_files_are_the_arms_own(untouched):
    said = untouched.run("""
import tempfile, os
with tempfile.NamedTemporaryFile() as one, tempfile.TemporaryDirectory() as other:
    open(os.path.join(other, "x"), "w").write("1")
    print(one.name)
assert WRITTEN == [], WRITTEN
""")
    assert said.startswith(str(untouched.root / "tmp"))


@pytest.mark.parametrize("place", ["OTHER + '/kept.db'", "MINE + '/kept.db'", "'kept.db'"])
def test_databases_are_copied_before_they_are_changed(untouched, place):
    import sqlite3

    for folder in (untouched.mine, untouched.other):
        with sqlite3.connect(folder / "kept.db") as kept:
            kept.execute("create table runs (name)")
            kept.execute("insert into runs values ('old')")
        kept.close()
    before = (untouched.other / "kept.db").read_bytes(), (untouched.mine / "kept.db").read_bytes()
    program = """
import sqlite3
for turn in range(2):
    kept = sqlite3.connect(PLACE)
    kept.execute("insert into runs values ('new')")
    kept.commit()
    kept.close()
kept = sqlite3.connect(PLACE)
assert len(kept.execute("select * from runs").fetchall()) == 3
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
"""
    untouched.run(program.replace("PLACE", place))
    after = (untouched.other / "kept.db").read_bytes(), (untouched.mine / "kept.db").read_bytes()
    assert after == before
    for folder in (untouched.mine, untouched.other):
        (folder / "kept.db").unlink()


def test_hdf5_files_too(untouched):
    (untouched.mine / "h5py.py").write_text(
        textwrap.dedent("""
        class File:  # as h5py has it
            def __init__(self, name, mode="r", **settings):
                self.name, self.mode = name, mode
        """)
    )
    untouched.run("""
import sys
sys.path.insert(0, ".")
import h5py, os
read = h5py.File(OTHER + "/notes.txt")
assert (read.name, read.mode) == (OTHER + "/notes.txt", "r")
added = h5py.File(OTHER + "/notes.txt", "a")
assert added.name != OTHER + "/notes.txt" and open(added.name).read() == "old"
assert h5py.File(OTHER + "/notes.txt").name == added.name
""")
    (untouched.mine / "h5py.py").unlink()


def test_loggers_stay_offline_whatever_the_program_says(untouched):
    stand_ins = {
        "wandb.py": "import os\ndef init(project=None, mode=None):\n    return mode\n",
        "mlflow.py": "URI = None\ndef set_tracking_uri(uri):\n    global URI\n    URI = uri\n",
    }
    for name, text in stand_ins.items():
        (untouched.mine / name).write_text(text)
    untouched.run("""
import sys
sys.path.insert(0, ".")
import wandb, mlflow
assert wandb.init(project="x", mode="online") == "disabled"
assert wandb.init("x") == "disabled"
mlflow.set_tracking_uri("https://example.org")
assert mlflow.URI is None
""")
    for name in stand_ins:
        (untouched.mine / name).unlink()
