"""Runs the three cases of the README, and puts what torchdx says of them there.

python docs/cases.py           about five minutes on two cores
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CASES = (("summed_loss", "L09"), ("never_frozen", "O08"), ("worst_epoch", "M04"))


def said(script: Path, code: str, folder: str) -> str:
    """What the finding and its trial look like in the terminal, less what repeats itself."""
    run = ["run", "-q", "--record", "case.dx", script.name]
    _torchdx(run, folder)
    found = _torchdx(["report", "--text", "case.dx"], folder)
    tried = _torchdx(["try", code, "--run", "case.dx"], folder)
    finding = found[found.index(f"{code} ") - 7 :].split("\n\n")[0]
    shown = "\n".join(line for line in tried.splitlines() if " runs · " not in line)
    return f"$ torchdx run {script.name}\n{finding}\n$ torchdx try {code}\n{shown.strip()}\n"


def _torchdx(arguments: list[str], folder: str) -> str:
    done = subprocess.run(  # noqa: S603  # our own command line
        [sys.executable, "-m", "torchdx", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    for name, code in CASES:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / f"{name}.py"
            script.write_text((ROOT / "gallery" / f"{name}.py").read_text())
            shown = said(script, code, folder)
        marks = rf"(<!-- case {name}: begin -->\n).*?(<!-- case {name}: end -->)"
        block = f"```\n{shown}```\n"
        text = re.sub(marks, lambda m, b=block: m[1] + b + m[2], text, flags=re.DOTALL)
        README.write_text(text)


if __name__ == "__main__":
    main()
