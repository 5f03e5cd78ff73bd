"""A process that has imported torch already, and forks a fresh one for every program.

Half of a short run's time is imports. A child of a nursery has everything that a new interpreter
would have after them, and nothing of what another child did: nothing has run in the nursery but
imports, and it has one thread. When whoever started it is gone, it ends its child and itself.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchdx.errors import NurseryError

POSSIBLE = hasattr(os, "fork") and sys.platform == "linux"
IMPORTS = ("numpy", "torch", "torch._dynamo", "torchdx.observer", "torchdx.treatments.base")
ONCE = "--once"
Key = tuple[tuple[tuple[str, str], ...], tuple[str, ...]]


@dataclass(frozen=True)
class Birth:
    """What a child does.

    call         `module:function`; the function takes `argument`, and returns an exit status
    cwd          its folder; `out`, `err`: files that its output goes to
    environment  variables besides the nursery's own
    """

    call: str
    argument: str
    cwd: str
    out: str
    err: str
    environment: Mapping[str, str]


class Nursery:
    """One process that forks; it has one child at a time."""

    _idle: "queue.SimpleQueue[tuple[Key, Nursery]]" = queue.SimpleQueue()

    def __init__(self, variables: Mapping[str, str], imports: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, and modules' names
            [sys.executable, "-P", "-m", "torchdx.boot.nursery", *IMPORTS, *imports],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # `select` sees no buffer
            process_group=0,  # Ctrl-C is for us: we end it
        )
        self._orders: Any = self._process.stdin
        self._answers: Any = self._process.stdout
        self._waiting = False  # for the end of a child
        self._child = 0

    @classmethod
    @contextlib.contextmanager
    def lent(cls, variables: Mapping[str, str], imports: Sequence[str] = ()) -> "Iterator[Nursery]":
        """One that nobody uses, with these variables and imports; a new one when there is none."""
        wanted = tuple(sorted(variables.items())), tuple(imports)
        aside, found = [], None
        with contextlib.suppress(queue.Empty):
            while found is None:
                known = cls._idle.get_nowait()
                if known[0] == wanted and known[1]._process.poll() is None:
                    found = known[1]
                else:
                    aside.append(known)
        for known in aside:
            cls._idle.put(known)
        nursery = found or (cls if POSSIBLE else Single)(variables, imports)
        try:
            yield nursery
        finally:
            if nursery._waiting or nursery._process.poll() is not None:
                nursery.close()  # its next answer would be that of another child
            else:
                cls._idle.put((wanted, nursery))

    @classmethod
    def close_all(cls) -> None:
        """End those that nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                cls._idle.get_nowait()[1].close()

    def close(self) -> None:
        """End this one, and its child."""
        kill(self._child)
        self._process.kill()
        self._process.wait()
        self._orders.close()
        self._answers.close()

    def begin(self, birth: Birth) -> int:
        """Fork a child; returns its process number, which is that of its group too.

        Raises:
            NurseryError: the nursery is gone.
        """
        with contextlib.suppress(OSError):
            self._orders.write(json.dumps(birth.__dict__).encode() + b"\n")
        self._waiting = True
        self._child = self._answer()
        return self._child

    def wait(self, timeout_s: float | None) -> int:
        """The child's exit status, negative: the signal that ended it.

        Raises:
            TimeoutError: it has not ended by then; `wait` may be called again.
            NurseryError: the nursery is gone.
        """
        if timeout_s is not None:
            ends = time.monotonic() + timeout_s
            while not select.select([self._answers], [], [], max(0.0, ends - time.monotonic()))[0]:
                if time.monotonic() >= ends:
                    raise TimeoutError
        status = self._answer()
        self._waiting = False
        return status

    def _answer(self) -> int:
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            msg = "the process that starts programs has ended"
            raise NurseryError(msg)
        return int(line)


atexit.register(Nursery.close_all)


class Single(Nursery):
    """A new interpreter for one child, where the system has no fork that is safe."""

    def __init__(self, variables: Mapping[str, str], imports: Sequence[str] = ()) -> None:
        super().__init__(variables, (ONCE, *imports))

    def begin(self, birth: Birth) -> int:
        """Let it live; returns its process number."""
        self._orders.write(json.dumps(birth.__dict__).encode() + b"\n")
        self._waiting = True
        self._child = self._process.pid
        return self._child

    def wait(self, timeout_s: float | None) -> int:
        """As a nursery's."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None


def main() -> None:
    """Fork what is asked for on stdin, until it is closed."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what an import prints is no answer
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)  # `ONCE` is none
    sys.path.insert(0, os.getcwd())  # a program puts its own folder there
    if ONCE in sys.argv:
        answers.close()
        sys.exit(_live(Birth(**json.loads(sys.stdin.buffer.readline()))))
    gc.freeze()  # what is imported is neither searched nor copied by a child's collections
    while line := sys.stdin.buffer.readline():
        birth = Birth(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            answers.close()
            sys.exit(_live(birth))
        with contextlib.suppress(OSError):  # both do it: neither knows who is first
            os.setpgid(pid, pid)
        answers.write(b"%d\n" % pid)
        answers.write(b"%d\n" % _ended(pid))


def _ended(pid: int) -> int:
    """Wait for a child; where stdin is closed before, end it, and this process."""
    ends = os.pidfd_open(pid)
    if sys.stdin.fileno() in select.select([sys.stdin.fileno(), ends], [], [])[0]:
        kill(pid)
        sys.exit()
    os.close(ends)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _live(birth: Birth) -> int:
    """What the child does, as if Python had been started for it."""
    # a group, not a session: Linux would schedule that as a competitor of all the others
    with contextlib.suppress(OSError, AttributeError):
        os.setpgid(0, 0)
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, birth.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, birth.err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        handle = os.open(path, flags, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as the interpreter has it
    os.chdir(birth.cwd)
    os.environ.update(birth.environment)
    module, _, function = birth.call.partition(":")
    status: int = getattr(importlib.import_module(module), function)(birth.argument)
    return status


def kill(pid: int) -> None:
    """End a child and all that it started; on Windows it alone."""
    if pid > 0:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.kill(pid, signal.SIGTERM)
            else:
                os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
