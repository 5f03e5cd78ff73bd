"""Processes that are forked from one that has imported torch."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.trials.conftest import PATH
from torchdx.boot import nursery as nurseries
from torchdx.boot.nursery import Birth, Nursery, Single, kill
from torchdx.errors import NurseryError

PROGRAMS = """
import os, random, signal, subprocess, sys, time

def speaks(word):
    print("said", word, os.environ["OWN"], os.getcwd(), sys.stdin.read())
    print("complained", file=sys.stderr)
    return 3

def fails(_):
    raise ValueError("no")

def ends(number):
    os.kill(os.getpid(), int(number))

def sleeps(word):
    print("asleep", flush=True)
    time.sleep(60)

def leaves_a_child(word):
    kept = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(kept.pid, flush=True)
    time.sleep(60)

STATE = []

def changes(word):
    import torch
    STATE.append(word)
    torch.nn.left = word
    os.environ["LEFT"] = word
    sys.modules["left"] = word
    print(STATE, random.random(), torch.rand(1).item())
    return 0

def looks(word):
    import torch
    print(STATE, hasattr(torch.nn, "left"), "LEFT" in os.environ, "left" in sys.modules)
    return 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("nursery")
    (where / "programs_of_a_child.py").write_text(PROGRAMS)
    (where / "queue.py").write_text("raise SystemExit('a file of the user, taken for a library')")
    return where


@pytest.fixture
def variables(folder, monkeypatch):
    """Nurseries of this test, which see the programs above, and few imports."""
    monkeypatch.setattr(nurseries, "IMPORTS", ())
    monkeypatch.chdir(folder)
    yield {"PYTHONPATH": os.pathsep.join((str(folder / "lib"), PATH)), "OMP_NUM_THREADS": "1"}
    Nursery.close_all()


@pytest.fixture(autouse=True, scope="module")
def _importable(folder):
    (folder / "lib").mkdir()
    (folder / "programs_of_a_child.py").rename(folder / "lib" / "programs_of_a_child.py")


def birth(folder: Path, call: str, argument: str = "", name: str = "a") -> Birth:
    places = str(folder / f"{name}.out"), str(folder / f"{name}.err")
    return Birth(
        f"programs_of_a_child:{call}", argument, str(folder / "lib"), *places, {"OWN": "mine"}
    )


def lived(
    folder: Path, variables: dict[str, str], call: str, argument: str = "", imports: tuple = ()
) -> tuple:
    with Nursery.lent(variables, imports) as nursery:
        nursery.begin(birth(folder, call, argument))
        status = nursery.wait(20)
    return status, (folder / "a.out").read_text(), (folder / "a.err").read_text()


def test_output_status_folder_and_variables_are_those_of_a_program_of_its_own(folder, variables):
    status, out, err = lived(folder, variables, "speaks", "hello")
    assert status == 3
    assert out == f"said hello mine {folder / 'lib'} \n"
    assert err == "complained\n"


def test_exceptions_and_signals_are_told_by_the_status(folder, variables):
    status, _, err = lived(folder, variables, "fails")
    assert status == 1
    assert err.strip().endswith("ValueError: no")
    assert lived(folder, variables, "ends", str(int(signal.SIGSEGV)))[0] == -signal.SIGSEGV


def test_what_one_child_changes_the_next_never_sees(folder, variables):
    assert lived(folder, variables, "changes", "x", ("torch",))[0] == 0
    assert lived(folder, variables, "looks", "", ("torch",))[1] == "[] False False False\n"


def test_an_end_that_does_not_come_in_time_can_be_waited_for_again(folder, variables):
    with Nursery.lent(variables) as nursery:
        pid = nursery.begin(birth(folder, "sleeps"))
        with pytest.raises(TimeoutError):
            nursery.wait(0.2)
        kill(pid)
        assert nursery.wait(20) == -signal.SIGKILL
        nursery.begin(birth(folder, "speaks"))  # it goes on
        assert nursery.wait(20) == 3


def test_two_live_at_once_each_in_a_nursery_of_its_own(folder, variables):
    with Nursery.lent(variables) as one, Nursery.lent(variables) as other:
        assert one is not other
        sleeping = one.begin(birth(folder, "sleeps", name="one"))
        other.begin(birth(folder, "speaks", "now", name="other"))
        assert other.wait(20) == 3
        kill(sleeping)
        assert one.wait(20) == -signal.SIGKILL


def test_one_that_still_waits_for_a_child_is_never_lent_again(folder, variables):
    with contextlib.suppress(KeyboardInterrupt), Nursery.lent(variables) as nursery:
        pid = nursery.begin(birth(folder, "sleeps"))
        raise KeyboardInterrupt
    assert gone(pid)
    with Nursery.lent(variables) as other:
        assert other is not nursery
        other.begin(birth(folder, "speaks"))
        assert other.wait(20) == 3


def test_a_nursery_that_was_killed_is_told_and_never_lent_again(folder, variables):
    with Nursery.lent(variables) as nursery:
        nursery.begin(birth(folder, "sleeps"))
        nursery._process.kill()
        with pytest.raises(NurseryError):
            nursery.wait(20)
    with Nursery.lent(variables) as other:
        assert other is not nursery


def test_a_child_ends_with_all_that_it_started(folder, variables):
    with Nursery.lent(variables) as nursery:
        pid = nursery.begin(birth(folder, "leaves_a_child", name="c"))
        inner = int(_written(folder / "c.out"))
        kill(pid)
        assert nursery.wait(20) == -signal.SIGKILL
    assert gone(inner)


def test_nothing_is_left_when_whoever_asked_is_killed(folder, variables):
    program = textwrap.dedent(f"""
        import time
        from torchdx.boot import nursery
        nursery.IMPORTS = ()
        places = {str(folder / "k.out")!r}, {str(folder / "k.err")!r}
        call = "programs_of_a_child:leaves_a_child"
        birth = nursery.Birth(call, "", {str(folder)!r}, *places, {{}})
        with nursery.Nursery.lent({variables!r}) as n:
            print(n.begin(birth), n._process.pid, flush=True)
            time.sleep(60)
    """)
    line = [sys.executable, "-P", "-c", program]
    asking = subprocess.Popen(line, stdout=subprocess.PIPE, env={**os.environ, **variables})
    assert asking.stdout is not None
    child, nursery = map(int, asking.stdout.readline().split())
    inner = int(_written(folder / "k.out"))
    asking.kill()
    asking.wait()
    asking.stdout.close()
    assert all(gone(pid) for pid in (child, inner, nursery))


def test_where_there_is_no_fork_each_child_is_a_new_interpreter(folder, variables, monkeypatch):
    monkeypatch.setattr(nurseries, "POSSIBLE", False)
    status, out, _ = lived(folder, variables, "speaks", "hello")
    assert (status, out) == (3, f"said hello mine {folder / 'lib'} \n")
    with Nursery.lent(variables) as nursery:
        assert isinstance(nursery, Single)
        pid = nursery.begin(birth(folder, "sleeps"))
        with pytest.raises(TimeoutError):
            nursery.wait(0.5)
        kill(pid)
        assert nursery.wait(20) == -signal.SIGKILL


def _written(path: Path) -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if (text := path.read_text()).endswith("\n"):
                return text
        time.sleep(0.02)
    raise TimeoutError(path)


def gone(pid: int) -> bool:
    """Whether a process has ended within some seconds; one that nobody reaped has, too."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return False
