"""`torchdx run` starts a program as `python` does, and ends as it does."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PYTHON = [sys.executable]
TORCHDX = [sys.executable, "-m", "torchdx", "run", "-q"]

SAME = {
    "arguments": (
        "import sys; print(sys.argv, __name__, __file__)",
        ["--epochs", "5", "-q", "x y"],
    ),
    "path": "import sys, os; print(sys.path[0], os.getcwd(), __spec__, __package__)",
    "sibling import": "import beside; print(beside.VALUE)",
    "exit status": "import sys; sys.exit(3)",
    "exit text": "import sys; sys.exit('no such thing')",
    "exit none": "raise SystemExit",
    "os exit": "import os; print('gone', flush=True); os._exit(7)",
    "exception": "def f():\n    return 1 / 0\nprint('before')\nf()",
    "chained exception": "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError from e",
    "exception group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "syntax error": "print('never')\ndef f(:\n    pass\n",
    "own hook": "import sys\nsys.excepthook = lambda *a: print('mine', a[0])\nraise ValueError",
    "atexit order": "import atexit\nfor word in ('last', 'first'): atexit.register(print, word)",
    "thread at exit": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()\nprint('end')",
    "pickle": "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__)",
    "spawn": "import multiprocessing as mp\ndef f(q): q.put(__name__)\n"
    "if __name__ == '__main__':\n    c = mp.get_context('spawn'); q = c.Queue()\n"
    "    p = c.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()",
    "fork": "import os, sys\npid = os.fork()\nif pid == 0:\n    print('child'); sys.exit(4)\n"
    "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    "interrupt": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('never')",
    "killed by itself": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nprint('never')",
    "handles termination": "import os, signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *a: sys.exit(9))\nos.kill(os.getpid(), signal.SIGTERM)",
    "stdin": "print(input())",
}


def both(folder: Path, arguments: list[str]) -> tuple[subprocess.CompletedProcess[str], ...]:
    """The same call under python and under torchdx."""
    runs = []
    for start in (PYTHON, TORCHDX):
        call = [*start, *arguments]
        run = subprocess.run(
            call,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            input="typed\n",
            timeout=60,
        )
        runs.append(run)
    return tuple(runs)


@pytest.mark.parametrize("name", SAME)
def test_a_script_behaves_as_under_python(name: str, tmp_path: Path):
    code = SAME[name]
    code, arguments = code if isinstance(code, tuple) else (code, [])
    (tmp_path / "beside.py").write_text("VALUE = 41")
    (tmp_path / "script.py").write_text(code)
    plain, watched = both(tmp_path, ["script.py", *arguments])
    assert watched.returncode == plain.returncode
    assert watched.stdout == plain.stdout
    assert watched.stderr == plain.stderr


def test_a_module_behaves_as_under_python(tmp_path: Path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('package')")
    (package / "__main__.py").write_text(
        "import sys; from . import part; print(sys.argv, sys.path[0], __package__, __spec__.name)"
    )
    (package / "part.py").write_text("print('part', __name__)")
    for target in ("package", "package.part"):
        plain, watched = both(tmp_path, ["-m", target, "--flag"])
        assert (watched.returncode, watched.stdout) == (plain.returncode, plain.stdout)
        assert watched.returncode == 0


@pytest.mark.parametrize("target", [["nothing.py"], ["-m", "nothing_here"], ["-m", "os.nothing"]])
def test_a_missing_program_ends_with_one_line_and_a_failure(target: list[str], tmp_path: Path):
    plain, watched = both(tmp_path, target)
    assert watched.returncode != 0
    assert plain.returncode != 0
    assert len(watched.stderr.strip().splitlines()) == 1
    assert "Traceback" not in watched.stderr


def test_a_folder_with_a_main_file_is_a_program(tmp_path: Path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("import sys; print(sys.argv, __name__)")
    plain, watched = both(tmp_path, ["app", "1"])
    assert watched.stdout == plain.stdout


TRAINS = """
import os, signal, sys, time
import torch
torch.manual_seed(0)
net = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(6):
    optimizer.zero_grad()
    loss = net(torch.randn(8, 4)).square().mean()
    loss.backward()
    optimizer.step()
print(repr(loss.item()), flush=True)
END
"""

ENDS = {
    "returns": "",
    "raises": "raise RuntimeError('mine')",
    "is interrupted": "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
    "is terminated": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)",
    "leaves at once": "os._exit(3)",
    "catches everything": "try:\n    loss.backward()\nexcept:\n    print('caught')",
    "deletes its model": "del net, optimizer, loss\nimport gc; gc.collect()",
    "forks": "pid = os.fork()\nif pid == 0:\n    torch.ones(2).requires_grad_().sum().backward()\n"
    "    os._exit(0)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_training_script_ends_as_without_and_its_record_is_whole(end: str, tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAINS.replace("END", ENDS[end]))
    plain = subprocess.run(
        [*PYTHON, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )
    call = [sys.executable, "-m", "torchdx", "run", "--record", "run.dx", "train.py"]
    watched = subprocess.run(
        call, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )
    assert watched.returncode == plain.returncode
    assert watched.stdout == plain.stdout
    assert plain.stderr in watched.stderr
    assert watched.stderr.count("6 steps") == 1, "the summary is printed, once"
    from torchdx.record.reader import read

    record = read(tmp_path / "run.dx")
    assert (record.steps, record.torn_bytes, record.end["failure"]) == (6, 0, None)


def test_an_interrupt_from_outside_stops_the_program_and_the_summary_is_printed(tmp_path: Path):
    code = TRAINS.replace("END", "print('waiting', flush=True)\ntime.sleep(30)")
    (tmp_path / "train.py").write_text(code)
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "torchdx", "run", "train.py"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        while "waiting" not in process.stdout.readline():
            pass
        time.sleep(0.2)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == -number
        assert "6 steps" in stderr


def test_a_script_that_never_trains_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "idle.py").write_text(
        "import torch; print(torch.ones(2).sum()); raise SystemExit(5)"
    )
    call = [sys.executable, "-m", "torchdx", "run", "idle.py"]
    run = subprocess.run(
        call, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 5
    (line,) = run.stderr.strip().splitlines()
    assert "no backward pass and no optimizer step ran" in line


@pytest.mark.parametrize(
    ("before", "record"),
    [("", "/proc/nothing/run.dx"), ("", "train.py/run.dx"), ("ulimit -f 4;", "run.dx")],
    ids=["no such place", "a file in the way", "disk full"],
)
def test_a_record_that_cannot_be_written_is_told_once_and_training_goes_on(
    before: str, record: str, tmp_path: Path
):
    code = TRAINS.replace("END", "").replace("range(6)", "range(400)")
    (tmp_path / "train.py").write_text(code)
    call = f"{before} {sys.executable} -m torchdx run --record {record} train.py"
    run = subprocess.run(
        ["bash", "-c", call], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout
    flat = " ".join(run.stderr.split())
    assert flat.count("cannot write the record") == 1
    assert "Traceback" not in run.stderr


def test_an_error_of_ours_disarms_us_and_is_told_once(tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAINS.replace("END", ""))
    start = textwrap.dedent("""
        import sys
        from torchdx.events import loop
        def broken(*args, **kwargs):
            raise ZeroDivisionError("planted")
        loop.Loop.step = broken
        sys.argv = ["torchdx", "run", "--record", "run.dx", "train.py"]
        from torchdx.cli import main
        main()
    """)
    run = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    plain = subprocess.run(
        [*PYTHON, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout) == (0, plain.stdout)
    assert "Traceback" not in run.stderr
    assert " ".join(run.stderr.split()).count("ZeroDivisionError: planted") == 1
    from torchdx.record.reader import read_entries

    kinds = [entry["e"] for entry in read_entries(tmp_path / "run.dx").entries]
    assert kinds.count("failure") == 1


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("raise ValueError('no rows  left')", r"by ValueError: no rows left \(train.py:\d+\)"),
        ("raise SystemExit(3)", "with exit status 3"),
    ],
)
def test_the_summary_says_how_a_program_failed(end: str, told: str, tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAINS.replace("END", "") + f"\n{end}\n")
    start = [sys.executable, "-m", "torchdx"]
    kept = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 60}
    run = subprocess.run([*start, "run", "--record", "run.dx", "train.py"], check=False, **kept)
    report = subprocess.run([*start, "report", "--text", "run.dx"], check=False, **kept)
    for said in (run.stderr, report.stdout):
        assert re.search(f"ended +{told}", said), said


def test_child_interpreters_are_observed_through_the_environment(tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAINS.replace("END", ""))
    parent = "import subprocess, sys\nsubprocess.run([sys.executable, 'train.py'], check=True)\n"
    (tmp_path / "parent.py").write_text(parent)
    call = [sys.executable, "-m", "torchdx", "run", "--record", "run.dx", "parent.py"]
    run = subprocess.run(
        call, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )
    assert run.returncode == 0
    from torchdx.record.reader import read

    assert read(tmp_path / "run.dx").steps == 6
    assert run.stderr.count("6 steps") == 1
    assert "nothing to judge" not in run.stderr


def test_a_shadowed_sitecustomize_still_runs_in_children(tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('own sitecustomize')")
    child = "import sys; print(sys.modules['sitecustomize'].__file__)"
    (tmp_path / "parent.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    )
    variables = {**os.environ, "PYTHONPATH": str(own)}
    run = subprocess.run(
        [*TORCHDX, "parent.py"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines()[-2:] == ["own sitecustomize", str(own / "sitecustomize.py")]


def test_a_record_that_is_there_already_is_not_written_over_unless_asked(tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAINS.replace("END", ""))
    (tmp_path / "run.dx").write_text("precious")
    call = [*TORCHDX, "--record", "run.dx"]
    for more in ([], ["--force"]):
        run = subprocess.run(
            [*call, *more, "train.py"], cwd=tmp_path, capture_output=True, check=False, timeout=60
        )
        assert run.returncode == (0 if more else 2)
        if not more:
            assert b"there is a record run.dx already" in run.stderr
            assert (tmp_path / "run.dx").read_text() == "precious"
    from torchdx.record.reader import read

    assert read(tmp_path / "run.dx").steps == 6


def test_an_unknown_option_is_told(tmp_path: Path):
    _, watched = both(tmp_path, ["--epohcs", "train.py"])
    assert watched.returncode == 2
    assert "no such option: --epohcs" in watched.stderr
