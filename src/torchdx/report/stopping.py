"""Ends what goes on for long as a person or the system asks: Ctrl-C, SIGTERM."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class TerminatedError(BaseException):
    """SIGTERM has come."""


def until_stopped(block: Callable[[], int]) -> int:
    """The exit status of a block: its own, 130 after Ctrl-C, 143 after SIGTERM."""
    hears = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminated) if hears else None
    try:
        return block()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except TerminatedError:
        return 128 + signal.SIGTERM
    finally:
        if hears:
            signal.signal(signal.SIGTERM, before)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError
