"""Draws what a command prints in a terminal: `python docs/capture.py FILE.svg COMMAND ...`."""

import io
import os
import pty
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 100


def main() -> int:
    """Run, and write the picture."""
    target, *call = sys.argv[1:]
    pieces: list[bytes] = []

    def keep(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        pieces.append(data)
        return data

    os.environ.update(TERM="xterm-256color", COLUMNS=str(WIDTH), LINES="40", OMP_NUM_THREADS="1")
    status = pty.spawn(call, keep)
    said = b"".join(pieces).decode(errors="replace").replace("\r\n", "\n")
    out = Console(record=True, width=WIDTH, file=io.StringIO())
    out.print(Text.from_ansi(said.replace(" ", "\N{NO-BREAK SPACE}")))  # SVG drops leading spaces
    Path(target).write_text(out.export_svg(title=" ".join(["$", *call])))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
