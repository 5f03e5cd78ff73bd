"""Watches a run in a terminal while it goes on; line by line where there is no terminal."""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from torchdx.record.following import Follower
from torchdx.record.model import Record
from torchdx.report import terminal
from torchdx.report.screen import Screen, duration, step_of, steps_per_s
from torchdx.rules.ranking import Diagnosis, diagnose

TICK_S = 0.25  # between two looks at file and keyboard
REDRAW_S = 1.0  # the clock goes on though nothing came
ASK_S = 2.0  # rules are not asked more often
SHARE = 0.05  # of a core that asking them may take, about
LINE_S = 2.0  # between two lines of progress, where there is no terminal
LINE_SHARE = 0.05  # and of the run's time

Find = Callable[[], Path | None]
Show = Callable[[RenderableType], None]
Key = Callable[[], str]


class Asking:
    """Asks the rules, when the run has counted anew and not too often."""

    def __init__(self) -> None:
        self.diagnosis: Diagnosis | None = None
        self._asked: tuple[int, ...] = ()
        self._not_before = 0.0

    def ask(self, record: Record) -> bool:
        """Ask them if it is time; returns whether they were."""
        counts = (id(record), record.steps, record.backwards, len(record.findings))
        began = time.monotonic()
        if counts == self._asked or began < self._not_before or not record.trained:
            return False
        self.diagnosis = diagnose(record, live=True)
        self._asked, now = counts, time.monotonic()
        self._not_before = now + max(ASK_S, (now - began) / SHARE)
        return True


def watch(find: Find, waiting: str) -> int:
    """Show a run until it ends or `q` is pressed; returns the exit status.

    0 when it has ended or nobody wants to look any longer, 1 when its process is gone.

    Args:
        find: the record, as soon as there is one.
        waiting: what is waited for, in words.
    """
    out, began = Console(highlight=False, emoji=False), time.time()
    if out.is_terminal and not out.is_dumb_terminal:
        follower = _on_a_screen(find, waiting, out)
    else:
        follower = _line_by_line(find, waiting, terminal.console(stderr=False))
    if follower is None:
        return 0
    record, grown = follower.record, time.time() - follower.silent_s
    if follower.state == "running":
        out.print(
            f"The run goes on (step {step_of(record):,}). To look again: torchdx watch", style="dim"
        )
        return 0
    terminal.summary(record, diagnose(record), follower.path, stderr=False)
    if follower.state == "gone":
        pid = record.meta.get("pid")
        out.print(Text(f"  its process ({pid}) is gone without having ended: killed?", "yellow"))
        return 1
    if grown < began:
        out.print(Text("  it had ended before; the next run: torchdx watch --next", "dim"))
    return 0


def _on_a_screen(find: Find, waiting: str, out: Console) -> Follower | None:
    """Redraw one screen; returns what was followed, None when there never was a record."""
    with _keys() as key, Live(console=out, screen=True, auto_refresh=False) as live:

        def show(what: RenderableType) -> None:
            live.update(what, refresh=True)

        shown: list[object] = []

        def patience() -> None:
            if shown != [out.size]:
                shown[:] = [out.size]
                show(_patience(waiting))

        follower = _found(find, patience, key)
        if follower is None:
            return None
        asking, drawn, size = Asking(), 0.0, out.size
        while True:
            grown = follower.poll() | asking.ask(follower.record)
            if follower.state in ("ended", "gone"):
                return follower
            now = time.monotonic()
            if grown or now - drawn > REDRAW_S or out.size != size:
                drawn, size = now, out.size
                show(_screen(follower, asking.diagnosis))
            if "q" in key():
                return follower


def _screen(follower: Follower, diagnosis: Diagnosis | None) -> Screen:
    silent = follower.silent_s
    return Screen(follower.path, follower.record, diagnosis, silent, follower.alive)


def _patience(waiting: str) -> Text:
    return Text.assemble(
        ("torchdx ", "bold magenta"), (waiting, "bold"), ("\nq quits", "dim"), overflow="fold"
    )


def _line_by_line(find: Find, waiting: str, out: Console) -> Follower | None:
    """Print a line when something has changed."""
    said: list[str] = []

    def patience() -> None:
        if not said:
            said.append(waiting)
            out.print(waiting, soft_wrap=True)

    follower = _found(find, patience, _no_key)
    asking, told, printed, steps = Asking(), set[str](), 0.0, 0
    while follower is not None:
        follower.poll()
        if follower.state in ("ended", "gone"):
            break
        asking.ask(follower.record)
        record, now = follower.record, time.monotonic()
        elapsed = record.pace[-1][0] if record.pace else 0.0
        if step_of(record) != steps and now - printed > max(LINE_S, LINE_SHARE * elapsed):
            printed, steps = now, step_of(record)
            out.print(_progress(record), soft_wrap=True)
        for finding in asking.diagnosis.findings if asking.diagnosis else ():
            if finding.code not in told:
                told.add(finding.code)
                terminal.tell(finding, stderr=False)
        _no_key()
    return follower


def _progress(record: Record) -> str:
    parts = [f"step {step_of(record):,}"]
    if record.losses:
        parts.append(f"loss {record.losses[-1][1]:.4g}")
    if (rate := steps_per_s(record)) is not None:
        parts.append(f"{rate:.3g} steps/s")
    if record.pace:
        parts.append(duration(record.pace[-1][0]))
    return " · ".join(parts)


def _found(find: Find, patience: Callable[[], None], key: Key) -> Follower | None:
    """Wait until there is a record in which something stands; None when `q` is pressed."""
    while True:
        path = find()
        if path is not None:
            follower = Follower(path)
            follower.poll()
            if follower.state != "waiting":
                return follower
            follower.close()
        patience()
        if "q" in key():
            return None


def _no_key() -> str:
    time.sleep(TICK_S)
    return ""


@contextlib.contextmanager
def _keys() -> Iterator[Key]:
    """What tells the keys that were pressed within a tick; they need no Return."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    import termios  # noqa: PLC0415  # not on every system
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)

    def key() -> str:
        if not select.select([sys.stdin], [], [], TICK_S)[0]:
            return ""
        pressed = os.read(sys.stdin.fileno(), 100)
        return pressed.decode(errors="replace").lower() or _no_key()

    try:
        yield key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
