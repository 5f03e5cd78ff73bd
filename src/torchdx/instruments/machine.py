"""What the operating system tells of this process: cores, the time of threads, memory.

Read from `/proc`; elsewhere (macOS, Windows, some sandboxes) the answer is None, and nothing fails.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

_MEMORY = "/proc/self/statm"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class ThreadTimes(NamedTuple):
    """Seconds that a thread has run on a core, and has waited for one although it could run."""

    running: float
    queued: float


def thread_times(process: int | None = None) -> ThreadTimes | None:
    """Those of the calling thread since it began, or of the first thread of another process.

    The kernel books running time at its ticks, some milliseconds apart; of the calling thread it
    tells the exact time otherwise.
    """
    words = _words(f"/proc/{process or 'thread-self'}/schedstat")
    with contextlib.suppress(ValueError):
        if len(words) > 1:
            running = int(words[0]) / 1e9 if process else time.thread_time()
            return ThreadTimes(running, int(words[1]) / 1e9)
    return None


def resident() -> int | None:
    """Bytes of this process that are in memory."""
    words = _words(_MEMORY)
    with contextlib.suppress(ValueError):
        if len(words) > 1:
            return int(words[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def cores() -> float:
    """How many cores this process may use at once: its affinity, and its container's quota."""
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)
    allowed = allowed or float(os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text().split()[:2]
        if quota != "max":
            allowed = min(allowed, int(quota) / int(period))
    return allowed


def _words(path: str) -> list[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return []
    try:
        return os.read(descriptor, 4096).decode(errors="replace").split()
    except OSError:
        return []
    finally:
        os.close(descriptor)
