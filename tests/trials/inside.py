"""What a child of the nursery does in the tests beside this file."""

import json
import os
import sys
from pathlib import Path

from torchdx.trials.redirecting import Redirecting
from torchdx.trials.surroundings import show, stay_offline


def command(arguments: str) -> int:
    """A command line of torchdx, in this process."""
    from torchdx.cli import main

    sys.argv = ["torchdx", *json.loads(arguments)]
    main()


def live(told: str) -> int:
    """Run a program's text where its writing is redirected."""
    asked = json.loads(told)
    scratch = Path(asked["scratch"])
    show(Path(asked["mine"]), scratch)
    os.chdir(scratch)
    redirecting = Redirecting(scratch, (Path(asked["home"]),))
    if "torch" in asked["text"]:
        import torch

        redirecting.torch_too(torch)
    redirecting.begin()
    stay_offline()
    names = {"MINE": asked["mine"], "OTHER": asked["other"], "WRITTEN": redirecting.written}
    exec(compile(asked["text"], "program.py", "exec"), names)  # noqa: S102
    return 0
