"""A record can be read after any crash, up to its last flush, and says what else it is."""

import json
import os
import random
import signal
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchdx.errors import RecordError
from torchdx.record import index
from torchdx.record.reader import read, read_entries
from torchdx.record.schema import HEADER, MAGIC, SCHEMA
from torchdx.record.writer import PENDING_ENTRIES, Writer

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def written(path: Path, entries: list[dict[str, object]], *, each: int = 1) -> Path:
    writer = Writer(path)
    for number, entry in enumerate(entries):
        writer.append(entry, now=number % each == 0)
    writer.close()
    return path


@settings(max_examples=50, deadline=None)
@given(entries=st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=20))
def test_what_is_written_is_read_again(entries, tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "run.dx"
    written(path, [{"e": "x"}, *entries], each=3)
    assert read_entries(path).entries == [{"e": "x"}, *entries]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_torn_or_damaged_record_gives_all_whole_frames_before_the_damage(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    path = written(folder / "run.dx", [{"e": "x", "n": n} for n in range(8)])
    whole = path.read_bytes()
    place = data.draw(st.integers(HEADER.size, len(whole) - 1))
    if data.draw(st.booleans()):
        torn = whole[:place]
    else:
        torn = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
    path.write_bytes(torn)
    contents = read_entries(path)
    assert [e["n"] for e in contents.entries] == list(range(len(contents.entries)))
    assert contents.torn_bytes > 0 or len(torn) == place
    assert len(contents.entries) < 8


def test_entries_are_flushed_when_enough_wait(tmp_path):
    writer = Writer(tmp_path / "run.dx")
    for n in range(PENDING_ENTRIES - 1):
        writer.append({"e": "x", "n": n})
    assert not writer.path.exists()
    writer.append({"e": "x"})
    assert len(read_entries(writer.path).entries) == PENDING_ENTRIES


def test_entries_are_flushed_when_they_are_old(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("torchdx.record.writer.time.monotonic", lambda: clock[0])
    writer = Writer(tmp_path / "run.dx")
    writer.append({"e": "x"})
    clock[0] += 1.9
    writer.tick()
    assert not writer.path.exists()
    clock[0] += 0.2
    writer.tick()
    assert len(read_entries(writer.path).entries) == 1


def test_nothing_is_written_while_it_is_held(tmp_path):
    writer = Writer(tmp_path / "run.dx", hold=True)
    for _ in range(200):
        writer.append({"e": "x"}, now=True)
    assert not writer.path.exists()
    writer.release()
    assert len(read_entries(writer.path).entries) == 200


def test_a_path_that_is_taken_becomes_that_of_the_next_rank(tmp_path):
    first, second = (Writer(tmp_path / "run.dx") for _ in range(2))
    for writer in (first, second):
        writer.append({"e": "x"}, now=True)
    assert second.path == index.shard_path(tmp_path / "run.dx", 1)
    assert index.shards(first.path) == [second.path]


def test_no_acknowledged_frame_is_lost_by_25_kills(tmp_path):
    chance = random.Random(1)
    for turn in range(25):
        path = tmp_path / f"run{turn}.dx"
        acknowledged = _write_until_killed(path, chance.uniform(0.001, 0.03))
        begun = path.exists() and path.stat().st_size  # killed between making it and writing to it
        found = [entry["n"] for entry in read_entries(path).entries] if begun else []
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged


def _write_until_killed(path: Path, seconds: float) -> int:
    """Fork a writer, kill it; returns how many entries it had acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        writer = Writer(path)
        n = 0
        while True:
            writer.append({"e": "x", "n": n, "text": "y" * (n % 500)})
            n += 1
            if n % 7 == 0:
                writer.flush()
                os.write(writing, struct.pack("<I", n))
    os.close(writing)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    return struct.unpack("<I", told[len(told) // 4 * 4 - 4 :][:4])[0] if len(told) >= 4 else 0


BAD = {
    "no such file": (None, "there is no such file"),
    "empty": (b"", "it is empty"),
    "foreign": (b"%PDF-1.7 and more", "not a torchdx record"),
    "torn in the header": (MAGIC + b"\x01", "torn inside its header"),
    "newer": (
        HEADER.pack(MAGIC, SCHEMA + 3),
        f"it has schema {SCHEMA + 3}, this torchdx reads up to",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_record_that_cannot_be_read_is_told_in_one_line(name, tmp_path):
    data, message = BAD[name]
    path = tmp_path / "run.dx"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_not_a_record(tmp_path):
    with pytest.raises(RecordError, match="Is a directory"):
        read(tmp_path)


def test_unknown_entries_and_kinds_are_left_aside(tmp_path):
    path = written(
        tmp_path / "run.dx", [{"e": "of-tomorrow", "x": 1}, {"none": 2}, {"e": "end", "a": 1}]
    )
    assert read(path).end["a"] == 1


def test_runs_are_found_by_name_prefix_path_and_as_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match="no record in"):
        index.find(None)
    for age, name in ((30, "alpha-1"), (20, "beta-1"), (10, "beta-2")):
        path = written(tmp_path / index.FOLDER / f"{name}.dx", [{"e": "x"}])
        os.utime(path, (time.time() - age, time.time() - age))
    written(tmp_path / index.FOLDER / "beta-2.rank1.dx", [{"e": "x"}])
    assert index.find(None).stem == "beta-2"
    assert index.find("alpha").stem == "alpha-1"
    assert index.find(str(index.runs()[1])).stem == "beta-1"
    with pytest.raises(RecordError, match=r"fits 2 runs \(beta-1, beta-2\)"):
        index.find("beta")
    with pytest.raises(RecordError, match="no run is called 'gamma'"):
        index.find("gamma")


def test_numbers_that_json_does_not_know_survive(tmp_path):
    path = written(tmp_path / "run.dx", [{"e": "x", "nan": float("nan"), "inf": float("inf")}])
    (entry,) = read_entries(path).entries
    assert json.dumps(entry) == '{"e": "x", "nan": NaN, "inf": Infinity}'


@pytest.mark.parametrize("kept", ["own", "own.dx"])
@pytest.mark.parametrize("asked", ["own", "own.dx", ".torchdx/own", ".torchdx/own.dx", "ow"])
def test_a_record_is_found_with_and_without_its_suffix(kept, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / index.FOLDER / kept, [{"e": "x"}])
    (tmp_path / index.FOLDER / "notes").write_text("no record")
    assert index.find(asked).resolve() == tmp_path / index.FOLDER / kept
    assert [path.name for path in index.runs()] == [kept]


def test_the_very_name_goes_before_others_that_begin_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own.dx", "own-2.dx"):
        written(tmp_path / index.FOLDER / name, [{"e": "x"}])
    assert index.find("own").name == index.find("own.dx").name == "own.dx"
